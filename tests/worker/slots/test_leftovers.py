"""A starting worker removes the directories and processes of killed workers, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from jobqueue.worker.slots import leftovers
from jobqueue.worker.slots.leftovers import in_exec, kill_processes_in
from jobqueue.worker.slots.workspace import PREFIX, Workspaces
from tests.support.child_script import command
from tests.support.processes import alive, state, wait_until_gone
from tests.support.slots import sparing_children
from tests.support.waiting import wait_until

WORKER = """
import pathlib, subprocess
from jobqueue.worker.isolation import levels
from jobqueue.worker.slots.workspace import Workspaces
from tests.support.slots import sparing_children
workspaces = Workspaces(sparing_children(), pathlib.Path(sys.argv[1]))
workspace = workspaces.create("job-1", levels.make("none", ()))
work = workspace.directory
(work / "file").write_text("text")
workspace.program.write_text("program")
def start(program, directory, **variables):
    command = ["/bin/sh", "-c", program]
    variables["PATH"] = "/usr/bin:/bin"
    process = subprocess.Popen(command, cwd=directory, env=variables, start_new_session=True)
    print(process.pid, flush=True)
start("exec sleep 600", work)
start("exec sleep 600", "/", HOME=str(work))
start("kill -STOP $$", work)
start("while :; do sleep 600 & kill $!; done", "/", TMPDIR=str(work))
print(workspaces.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def parent() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="jq-") as folder:
        yield Path(folder)


@contextmanager
def worker(parent: Path) -> Iterator[tuple[subprocess.Popen[str], list[int], Path]]:
    """A worker with a workspace in which four processes run, each in a session of its own."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command(WORKER, parent), stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        pids = [int(process.stdout.readline()) for _ in range(4)]
        path = Path(process.stdout.readline().rstrip("\n"))
        wait_until("one has stopped itself", lambda: state(pids[2]) == "T")
        try:
            yield process, pids, path
        finally:
            process.kill()
            kill_processes_in(path)


def sweep(parent: Path) -> None:
    """Do what a worker does when it starts."""
    leftovers.remove_leftovers(parent, sparing_children())


@contextmanager
def bystander(directory: Path, **variables: str) -> Iterator[int]:
    """A process that belongs to no job."""
    with subprocess.Popen(["/bin/sleep", "600"], cwd=directory, env=variables) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def test_processes_and_directories_of_a_killed_worker_are_removed(parent: Path) -> None:
    with worker(parent) as (process, pids, path):
        process.kill()
        process.wait()
        assert all(map(alive, pids))
        with capture_logs() as logs:
            sweep(parent)
        (log,) = logs
        assert (log["event"], log["path"]) == ("abandoned_workspaces_swept", str(path))
        assert log["processes_killed"] >= 4
        wait_until_gone(pids)
    assert list(parent.iterdir()) == []


def test_processes_and_directories_of_a_living_worker_are_not_touched(parent: Path) -> None:
    with worker(parent) as (_, pids, path):
        with capture_logs() as logs:
            sweep(parent)
        assert all(map(alive, pids))
        assert list(parent.iterdir()) == [path]
        assert [(workspace / "work" / "file").read_text() for workspace in path.glob("job-1-*")] == ["text"]
    assert logs == []


def test_the_leftovers_of_a_dead_worker_are_removed_beside_a_living_one(parent: Path) -> None:
    with worker(parent) as (dead, left, _), worker(parent) as (_, living, path):
        dead.kill()
        dead.wait()
        sweep(parent)
        wait_until_gone(left)
        assert all(map(alive, living))
        assert list(parent.iterdir()) == [path]


def test_a_worker_that_ends_leaves_no_directory(parent: Path) -> None:
    with closing(Workspaces(sparing_children(), parent)) as workspaces:
        assert list(parent.iterdir()) == [workspaces.path]
    assert list(parent.iterdir()) == []


@pytest.mark.parametrize("name", ["jobqueue-notes", "jobqueue-", "jobqueue.0", "other-0123456789ab"])
def test_directories_with_other_names_stay(parent: Path, name: str) -> None:
    (parent / name).mkdir()
    (parent / name / "file").write_text("text")
    sweep(parent)
    assert (parent / name / "file").read_text() == "text"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory somebody else's")
def test_a_directory_with_our_prefix_that_belongs_to_another_user_stays(parent: Path) -> None:
    theirs = parent / f"{PREFIX}0123456789ab"
    theirs.mkdir()
    (theirs / "file").write_text("text")
    os.chown(theirs, 65534, 65534)
    with bystander(theirs) as pid:
        sweep(parent)
        assert alive(pid)
    assert (theirs / "file").read_text() == "text"


def test_a_symbolic_link_with_our_prefix_and_its_target_stay(parent: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    link = parent / f"{PREFIX}0123456789ab"
    link.symlink_to(tmp_path)
    sweep(parent)
    assert link.is_symlink()
    assert (tmp_path / "file").read_text() == "text"


def test_the_target_of_a_symbolic_link_in_an_abandoned_directory_stays(parent: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    abandoned = parent / f"{PREFIX}0123456789ab"
    abandoned.mkdir()
    (abandoned / "link").symlink_to(tmp_path)
    sweep(parent)
    assert list(parent.iterdir()) == []
    assert (tmp_path / "file").read_text() == "text"


def test_processes_in_neighboring_directories_are_not_killed(parent: Path) -> None:
    (parent / "a").mkdir()
    (parent / "ab").mkdir()
    with bystander(parent / "ab", HOME=str(parent / "ab")) as pid, bystander(parent) as other:
        assert kill_processes_in(parent / "a") == 0
        assert alive(pid)
        assert alive(other)


def test_a_process_whose_oldpwd_is_in_the_directory_is_not_killed(parent: Path) -> None:
    """A shell exports the directory that it was in before to everything it starts, perhaps to the next worker."""
    with bystander(Path("/"), OLDPWD=str(parent / "job/work")) as pid:
        assert kill_processes_in(parent) == 0
        assert alive(pid)


def test_a_process_that_calls_exec_all_the_time_is_killed(parent: Path) -> None:
    """In the middle of an exec the kernel shows an empty environment."""
    again = parent / "again"
    again.write_text('#!/bin/sh\nexec "$0"\n')
    again.chmod(0o700)
    for _ in range(100):
        with subprocess.Popen([again], cwd="/", env={"HOME": f"{parent}/work"}) as process:
            kill_processes_in(parent)
            try:
                assert process.wait(20) == -signal.SIGKILL
            finally:
                process.kill()


def test_a_process_without_an_environment_and_a_zombie_are_not_in_an_exec(parent: Path) -> None:
    with bystander(Path("/")) as pid:
        process = Path(f"/proc/{pid}")
        wait_until("the process has been started", lambda: (process / "cmdline").read_bytes() != b"")
        assert (process / "environ").read_bytes() == b""
        assert not in_exec(process)
        os.kill(pid, signal.SIGKILL)
        wait_until("the process is a zombie", lambda: state(pid) == "Z")
        with pytest.raises(OSError, match="No such"):
            in_exec(process)


def test_the_sweeping_process_does_not_kill_itself(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(parent)
    assert kill_processes_in(parent) == 0


def test_killed_processes_are_counted(parent: Path) -> None:
    with bystander(parent) as one, bystander(Path("/"), HOME=f"{parent}/work") as other:
        assert kill_processes_in(parent) == 2
        wait_until_gone([one, other])

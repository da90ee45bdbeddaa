"""What a killed worker has left, directories and processes, is gone when the next one starts; nothing else is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from jobqueue.worker.slots import workspace
from jobqueue.worker.slots.children import Family
from jobqueue.worker.slots.workspace import PREFIX, Workspaces, _lives_in, kill_inhabitants
from tests.support.processes import alive, state, wait_until_gone
from tests.support.waiting import wait_until

ROOT = str(Path(__file__).parents[3])
WORKER = """
import pathlib, subprocess, sys
sys.path.insert(0, sys.argv[1])
from jobqueue.worker.isolation import levels
from jobqueue.worker.slots.children import Family
from jobqueue.worker.slots.workspace import Workspaces
workspaces = Workspaces(Family(lambda _: None), pathlib.Path(sys.argv[2]))
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
    """A worker with a workspace in which four processes live, each in a session of its own."""
    command, pipe = [sys.executable, "-c", WORKER, ROOT, str(parent)], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        pids = [int(process.stdout.readline()) for _ in range(4)]
        path = Path(process.stdout.readline().rstrip("\n"))
        wait_until("one has stopped itself", lambda: state(pids[2]) == "T")
        try:
            yield process, pids, path
        finally:
            process.kill()
            kill_inhabitants(path)


def sweep(parent: Path) -> None:
    """Do what a worker does at its start."""
    workspace.sweep(parent, Family(lambda _: None))


@contextmanager
def bystander(directory: Path, **variables: str) -> Iterator[int]:
    """A process that does no job of ours."""
    with subprocess.Popen(["/bin/sleep", "600"], cwd=directory, env=variables) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def test_what_a_killed_worker_left_is_swept(parent: Path) -> None:
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


def test_what_is_a_living_workers_is_not_touched(parent: Path) -> None:
    with worker(parent) as (_, pids, path):
        with capture_logs() as logs:
            sweep(parent)
        assert all(map(alive, pids))
        assert list(parent.iterdir()) == [path]
        assert [(workspace / "work" / "file").read_text() for workspace in path.glob("job-1-*")] == ["text"]
    assert logs == []


def test_of_two_workers_the_dead_ones_is_swept(parent: Path) -> None:
    with worker(parent) as (dead, left, _), worker(parent) as (_, living, path):
        dead.kill()
        dead.wait()
        sweep(parent)
        wait_until_gone(left)
        assert all(map(alive, living))
        assert list(parent.iterdir()) == [path]


def test_a_worker_that_ends_leaves_nothing(parent: Path) -> None:
    with closing(Workspaces(Family(lambda _: None), parent)) as workspaces:
        assert list(parent.iterdir()) == [workspaces.path]
    assert list(parent.iterdir()) == []


@pytest.mark.parametrize("name", ["jobqueue-notes", "jobqueue-", "jobqueue.0", "other-0123456789ab"])
def test_directories_of_other_people_and_other_programs_stay(parent: Path, name: str) -> None:
    (parent / name).mkdir()
    (parent / name / "file").write_text("text")
    sweep(parent)
    assert (parent / name / "file").read_text() == "text"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory somebody else's")
def test_one_that_looks_like_ours_and_is_somebody_elses_stays(parent: Path) -> None:
    theirs = parent / f"{PREFIX}0123456789ab"
    theirs.mkdir()
    (theirs / "file").write_text("text")
    os.chown(theirs, 65534, 65534)
    with bystander(theirs) as pid:
        sweep(parent)
        assert alive(pid)
    assert (theirs / "file").read_text() == "text"


def test_a_link_and_what_it_points_to_stay(parent: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    link = parent / f"{PREFIX}0123456789ab"
    link.symlink_to(tmp_path)
    sweep(parent)
    assert link.is_symlink()
    assert (tmp_path / "file").read_text() == "text"


def test_what_a_link_in_an_abandoned_one_points_to_stays(parent: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    abandoned = parent / f"{PREFIX}0123456789ab"
    abandoned.mkdir()
    (abandoned / "link").symlink_to(tmp_path)
    sweep(parent)
    assert list(parent.iterdir()) == []
    assert (tmp_path / "file").read_text() == "text"


def test_who_lives_next_door_is_no_inhabitant(parent: Path) -> None:
    (parent / "a").mkdir()
    (parent / "ab").mkdir()
    with bystander(parent / "ab", HOME=str(parent / "ab")) as pid, bystander(parent) as other:
        assert kill_inhabitants(parent / "a") == 0
        assert alive(pid)
        assert alive(other)


def test_who_was_there_before_is_no_inhabitant(parent: Path) -> None:
    """A shell remembers where it was, and tells all it starts: perhaps the next worker."""
    with bystander(Path("/"), OLDPWD=str(parent / "job/work")) as pid:
        assert kill_inhabitants(parent) == 0
        assert alive(pid)


def test_who_is_just_being_started_is_an_inhabitant(parent: Path) -> None:
    """While a process is replaced by the next, the kernel tells nobody what its environment is."""
    again = parent / "again"
    again.write_text('#!/bin/sh\nexec "$0"\n')
    again.chmod(0o700)
    for _ in range(100):
        with subprocess.Popen([again], cwd="/", env={"HOME": f"{parent}/work"}) as process:
            kill_inhabitants(parent)
            try:
                assert process.wait(20) == -signal.SIGKILL
            finally:
                process.kill()


def test_who_has_no_environment_is_not_taken_for_somebody_who_is_just_being_started(parent: Path) -> None:
    with bystander(Path("/")) as pid:
        process = Path(f"/proc/{pid}")
        wait_until("it has been started", lambda: (process / "cmdline").read_bytes() != b"")
        assert (process / "environ").read_bytes() == b""
        assert _lives_in(process, parent) is False
        os.kill(pid, signal.SIGKILL)
        wait_until("it is a zombie", lambda: state(pid) == "Z")
        assert _lives_in(process, parent) is False


def test_who_sweeps_does_not_sweep_itself(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(parent)
    assert kill_inhabitants(parent) == 0


def test_inhabitants_are_counted(parent: Path) -> None:
    with bystander(parent) as one, bystander(Path("/"), HOME=f"{parent}/work") as other:
        assert kill_inhabitants(parent) == 2
        wait_until_gone([one, other])

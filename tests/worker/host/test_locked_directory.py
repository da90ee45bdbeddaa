"""A directory is its worker's while that lives, and whoever comes first's after that."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import pytest

from jobqueue.worker.host.locked_directory import LOCK, UNFINISHED, UNFINISHED_SECONDS, LockedDirectory
from tests.support.waiting import wait_until

ROOT = str(Path(__file__).parents[3])
OWNER = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
from jobqueue.worker.host.locked_directory import LockedDirectory
print(LockedDirectory.create(pathlib.Path(sys.argv[2]), "ours-").path, flush=True)
sys.stdin.read()
"""


@contextmanager
def owner(parent: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process with a directory of its own."""
    command, pipe = [sys.executable, "-c", OWNER, ROOT, str(parent)], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().rstrip("\n"))
        finally:
            process.kill()


@pytest.fixture
def parent() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="jq-") as folder:
        yield Path(folder)


@pytest.fixture
def dead(parent: Path) -> Path:
    """The directory of a process that was killed."""
    with owner(parent) as (process, path):
        (path / "left").write_text("text")
        process.kill()
    return path


def take_abandoned(parent: Path, prefix: str = "ours-") -> list[Path]:
    """Return those that nobody holds, and let them go again."""
    found = list(LockedDirectory.abandoned(parent, prefix))
    for each in found:
        each.close()
    return [each.path for each in found]


def test_a_new_one_is_empty_and_for_us_alone(parent: Path) -> None:
    own = LockedDirectory.create(parent, "ours-")
    assert list(parent.iterdir()) == [own.path]
    assert own.path.name.startswith("ours-")
    assert own.path.stat().st_mode & 0o777 == 0o700
    assert list(own.path.iterdir()) == []
    own.close()


def test_no_two_are_the_same(parent: Path) -> None:
    several = [LockedDirectory.create(parent, "ours-") for _ in range(10)]
    assert len({each.path for each in several}) == 10
    for each in several:
        each.close()


def test_where_none_can_be_made_none_is(parent: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LockedDirectory.create(parent / "missing", "ours-")


def test_that_of_a_living_process_is_not_found(parent: Path) -> None:
    with owner(parent) as (_, path):
        assert path.is_dir()
        assert take_abandoned(parent) == []


def test_ones_own_is_not_found_either(parent: Path) -> None:
    own = LockedDirectory.create(parent, "ours-")
    assert take_abandoned(parent) == []
    own.close()


def test_a_process_that_is_started_meanwhile_does_not_keep_it_locked(parent: Path) -> None:
    own = LockedDirectory.create(parent, "ours-")
    with subprocess.Popen(["/bin/sleep", "600"], close_fds=False) as child:
        try:
            own.close()  # the child closes its copy a moment after it has begun
            wait_until("it is found", lambda: take_abandoned(parent) == [own.path])
        finally:
            child.kill()


def test_that_of_a_killed_process_is_found_with_what_it_holds(parent: Path, dead: Path) -> None:
    (found,) = LockedDirectory.abandoned(parent, "ours-")
    assert found.path == dead
    assert (found.path / "left").read_text() == "text"
    found.close()


def test_it_is_then_ours(parent: Path, dead: Path) -> None:
    (found,) = LockedDirectory.abandoned(parent, "ours-")
    assert take_abandoned(parent) == []
    found.close()
    assert take_abandoned(parent) == [dead]


@pytest.mark.usefixtures("dead")
def test_of_many_that_look_one_finds_it(parent: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = [*chain(*pool.map(lambda _: list(LockedDirectory.abandoned(parent, "ours-")), range(8)))]
    assert len(found) == 1
    found[0].close()


def test_another_prefix_is_another_matter(parent: Path, dead: Path) -> None:
    assert take_abandoned(parent, "theirs-") == []
    assert take_abandoned(parent, "our") == []
    assert take_abandoned(parent, "") == []
    assert take_abandoned(parent, "ours-") == [dead]


@pytest.mark.parametrize(
    "name", ["ours-", "ours-notes", "ours-0123456789ab-backup", "ours-0123456789AB", "x-ours-0123456789ab"]
)
def test_what_only_has_a_name_like_it_is_not_touched(parent: Path, name: str) -> None:
    """People name directories in /tmp after what they work on."""
    (parent / name).mkdir()
    assert take_abandoned(parent) == []
    assert list((parent / name).iterdir()) == []


def test_links_and_files_are_not_touched(parent: Path, tmp_path: Path) -> None:
    (parent / "ours-0123456789ab").symlink_to(tmp_path)
    (parent / "ours-0123456789ac").symlink_to(tmp_path / "nowhere")
    (parent / "ours-0123456789ad").write_text("text")
    assert take_abandoned(parent) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory somebody else's")
def test_somebody_elses_is_not_touched(parent: Path) -> None:
    theirs = parent / "ours-0123456789ab"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    assert take_abandoned(parent) == []
    assert list(theirs.iterdir()) == []


def test_a_job_that_removes_all_it_finds_there_does_not_make_it_look_abandoned(parent: Path) -> None:
    with owner(parent) as (_, path):
        for each in path.iterdir():
            each.unlink()
        assert take_abandoned(parent) == []


def test_one_whose_maker_was_killed_before_it_could_lock_it_is_found_later(parent: Path) -> None:
    unlocked = parent / f"{UNFINISHED}ours-0123456789ab"
    unlocked.mkdir()
    assert take_abandoned(parent) == []
    long_ago = time.time() - UNFINISHED_SECONDS - 1
    os.utime(unlocked, (long_ago, long_ago))
    assert take_abandoned(parent, "theirs-") == []
    assert take_abandoned(parent) == [unlocked]


@pytest.fixture
def like_nfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse to lock what is not open for writing, as NFS does."""
    flock = fcntl.flock

    def lock(fd: int, operation: int) -> None:
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", lock)


@pytest.mark.usefixtures("like_nfs")
def test_where_directories_cannot_be_locked_a_file_in_it_is(parent: Path) -> None:
    own = LockedDirectory.create(parent, "ours-")
    assert [path.name for path in own.path.iterdir()] == [LOCK]
    assert take_abandoned(parent) == []
    own.close()
    assert take_abandoned(parent) == [own.path]


@pytest.mark.usefixtures("like_nfs")
def test_one_whose_lock_is_a_link_is_not_touched(parent: Path, tmp_path: Path) -> None:
    odd = parent / "ours-0123456789ab"
    odd.mkdir()
    (odd / LOCK).symlink_to(tmp_path / "target")
    assert take_abandoned(parent) == []
    assert list(tmp_path.iterdir()) == []


def test_none_is_left_where_none_can_be_locked(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="locks"):
        LockedDirectory.create(parent, "ours-")
    assert list(parent.iterdir()) == []


def test_it_may_be_gone_when_it_is_let_go(parent: Path) -> None:
    own = LockedDirectory.create(parent, "ours-")
    own.path.rmdir()
    own.close()
    assert list(parent.iterdir()) == []

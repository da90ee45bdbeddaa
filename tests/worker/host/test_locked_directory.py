"""A locked directory belongs to its owner while that lives, and then to the first process that takes it."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import pytest

from jobqueue.worker.host.locked_directory import LOCK, UNFINISHED, UNFINISHED_SECONDS, LockedDirectory
from tests.support.child_script import line_from, running
from tests.support.waiting import wait_until

OWNER = """
import pathlib
from jobqueue.worker.host.locked_directory import LockedDirectory
print(LockedDirectory.create(pathlib.Path(sys.argv[1]), "ours-").path, flush=True)
sys.stdin.read()
"""


@contextmanager
def owner(parent: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that holds a locked directory."""
    with running(OWNER, parent) as process:
        yield process, Path(line_from(process).rstrip("\n"))


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
    """Take the abandoned directories, free them again, and return their paths."""
    directories = list(LockedDirectory.abandoned(parent, prefix))
    for each in directories:
        each.close()
    return [each.path for each in directories]


def test_a_new_directory_is_empty_and_private(parent: Path) -> None:
    own = LockedDirectory.create(parent, "ours-")
    assert list(parent.iterdir()) == [own.path]
    assert own.path.name.startswith("ours-")
    assert own.path.stat().st_mode & 0o777 == 0o700
    assert list(own.path.iterdir()) == []
    own.close()


def test_two_locked_directories_have_different_names(parent: Path) -> None:
    several = [LockedDirectory.create(parent, "ours-") for _ in range(10)]
    assert len({each.path for each in several}) == 10
    for each in several:
        each.close()


def test_a_locked_directory_in_a_missing_parent_is_an_error(parent: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LockedDirectory.create(parent / "missing", "ours-")


def test_the_directory_of_a_living_process_is_not_abandoned(parent: Path) -> None:
    with owner(parent) as (_, path):
        assert path.is_dir()
        assert take_abandoned(parent) == []


def test_the_directory_of_this_process_is_not_abandoned(parent: Path) -> None:
    own = LockedDirectory.create(parent, "ours-")
    assert take_abandoned(parent) == []
    own.close()


def test_a_child_process_does_not_keep_a_directory_locked(parent: Path) -> None:
    own = LockedDirectory.create(parent, "ours-")
    with subprocess.Popen(["/bin/sleep", "600"], close_fds=False) as child:
        try:
            own.close()  # the child closes its copy a moment after it has started
            wait_until("the directory is found", lambda: take_abandoned(parent) == [own.path])
        finally:
            child.kill()


def test_the_directory_of_a_killed_process_is_abandoned_with_its_files(parent: Path, dead: Path) -> None:
    (found,) = LockedDirectory.abandoned(parent, "ours-")
    assert found.path == dead
    assert (found.path / "left").read_text() == "text"
    found.close()


def test_an_abandoned_directory_is_taken_over(parent: Path, dead: Path) -> None:
    (found,) = LockedDirectory.abandoned(parent, "ours-")
    assert take_abandoned(parent) == []
    found.close()
    assert take_abandoned(parent) == [dead]


@pytest.mark.usefixtures("dead")
def test_an_abandoned_directory_is_taken_over_by_one_thread_of_many(parent: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        taken = [*chain(*pool.map(lambda _: list(LockedDirectory.abandoned(parent, "ours-")), range(8)))]
    assert len(taken) == 1
    taken[0].close()


def test_directories_of_another_prefix_are_not_abandoned(parent: Path, dead: Path) -> None:
    assert take_abandoned(parent, "theirs-") == []
    assert take_abandoned(parent, "our") == []
    assert take_abandoned(parent, "") == []
    assert take_abandoned(parent, "ours-") == [dead]


@pytest.mark.parametrize(
    "name", ["ours-", "ours-notes", "ours-0123456789ab-backup", "ours-0123456789AB", "x-ours-0123456789ab"]
)
def test_a_directory_whose_name_only_resembles_ours_is_left_alone(parent: Path, name: str) -> None:
    """People name directories in /tmp after what they work on."""
    (parent / name).mkdir()
    assert take_abandoned(parent) == []
    assert list((parent / name).iterdir()) == []


def test_links_and_files_are_not_taken_for_abandoned_directories(parent: Path, tmp_path: Path) -> None:
    (parent / "ours-0123456789ab").symlink_to(tmp_path)
    (parent / "ours-0123456789ac").symlink_to(tmp_path / "nowhere")
    (parent / "ours-0123456789ad").write_text("text")
    assert take_abandoned(parent) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
def test_another_users_directory_is_left_alone(parent: Path) -> None:
    theirs = parent / "ours-0123456789ab"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    assert take_abandoned(parent) == []
    assert list(theirs.iterdir()) == []


def test_a_job_that_removes_every_file_does_not_make_a_directory_look_abandoned(parent: Path) -> None:
    with owner(parent) as (_, path):
        for each in path.iterdir():
            each.unlink()
        assert take_abandoned(parent) == []


def test_an_unfinished_directory_is_abandoned_after_a_minute(parent: Path) -> None:
    unlocked = parent / f"{UNFINISHED}ours-0123456789ab"
    unlocked.mkdir()
    assert take_abandoned(parent) == []
    long_ago = time.time() - UNFINISHED_SECONDS - 1
    os.utime(unlocked, (long_ago, long_ago))
    assert take_abandoned(parent, "theirs-") == []
    assert take_abandoned(parent) == [unlocked]


@pytest.fixture
def like_nfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse to lock a file that is not open for writing, as NFS does."""
    flock = fcntl.flock

    def lock(fd: int, operation: int) -> None:
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", lock)


@pytest.mark.usefixtures("like_nfs")
def test_a_file_is_locked_where_directories_cannot_be(parent: Path) -> None:
    own = LockedDirectory.create(parent, "ours-")
    assert [path.name for path in own.path.iterdir()] == [LOCK]
    assert take_abandoned(parent) == []
    own.close()
    assert take_abandoned(parent) == [own.path]


@pytest.mark.usefixtures("like_nfs")
def test_a_directory_whose_lock_file_is_a_link_is_left_alone(parent: Path, tmp_path: Path) -> None:
    odd = parent / "ours-0123456789ab"
    odd.mkdir()
    (odd / LOCK).symlink_to(tmp_path / "target")
    assert take_abandoned(parent) == []
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_locked_is_removed_again(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="locks"):
        LockedDirectory.create(parent, "ours-")
    assert list(parent.iterdir()) == []


def test_a_directory_may_be_gone_when_it_is_closed(parent: Path) -> None:
    own = LockedDirectory.create(parent, "ours-")
    own.path.rmdir()
    own.close()
    assert list(parent.iterdir()) == []

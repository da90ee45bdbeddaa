"""A lock file excludes all others while it is held, and does not stay behind."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

import pytest

from jobqueue.worker.host import lock_file

NEVER = threading.Event()


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock_file.hold(path, NEVER, 0) as first, lock_file.hold(path, NEVER, 0.02) as second:
        assert (first, second) == (True, False)
    with lock_file.hold(path, NEVER, 0) as again:
        assert again


def test_a_lock_leaves_no_file(tmp_path: Path) -> None:
    with lock_file.hold(tmp_path / "lock", NEVER, 0):
        assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    assert list(tmp_path.iterdir()) == []


def test_waiting_for_a_lock_can_be_stopped(tmp_path: Path) -> None:
    stopped = threading.Event()
    stopped.set()
    with lock_file.hold(tmp_path / "lock", NEVER, 0), lock_file.hold(tmp_path / "lock", stopped, 60) as held:
        assert not held


def test_a_lock_of_a_file_that_its_last_holder_has_removed_is_not_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder removes the file between our open and our flock: whoever comes next would lock another file."""
    path = tmp_path / "lock"
    flock = fcntl.flock

    def remove_first(fd: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        path.unlink()
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    with lock_file.hold(path, NEVER, 5) as held:
        assert held
        assert path.exists()


def test_a_lock_in_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        lock_file.hold(tmp_path / "missing" / "lock", NEVER, 0).__enter__()

"""A verified copy is used again only as long as the kernel vouches that nobody has written to it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from jobqueue.worker.programs import kept_copies
from jobqueue.worker.programs.cache import Cache
from jobqueue.worker.programs.errors import DownloadStopped
from jobqueue.worker.programs.kept_copies import KeptCopies
from jobqueue.worker.programs.policy import DownloadRules
from jobqueue.worker.programs.verified_copy import VerifiedFile
from tests.support.processes import file_descriptors

PROGRAM = Path("/bin/true").read_bytes()
MOST_BYTES = 10 * len(PROGRAM)


@dataclass
class Keeper:
    """Copies kept below a folder, and what is taken from them."""

    folder: Path
    copies: KeptCopies = field(init=False)
    count: int = 0
    verified: VerifiedFile = field(default_factory=VerifiedFile)

    def __post_init__(self) -> None:
        self.copies = KeptCopies(lambda: self.folder, MOST_BYTES)

    def target(self) -> Path:
        self.count += 1
        return self.folder / f"program-{self.count}"

    def make(self, content: bytes = PROGRAM, sha256: str | None = None) -> Path | bool | None:
        """Return the link to a new copy, or the result when there is none."""
        source, target = self.folder / "source", self.target()
        source.write_bytes(content)
        with source.open("rb") as file:
            made = self.copies.make(file.fileno(), sha256 or digest(content), target, threading.Event(), self.verified)
        self.verified.close()
        return target if made else made

    def kept(self, content: bytes = PROGRAM) -> Path:
        """Return the link to a copy of a program that is used for the second time."""
        for _ in range(2):
            if isinstance(path := self.make(content), Path):
                return path
        return pytest.skip("this file system has no leases")

    def link(self) -> Path | None:
        target = self.target()
        linked = self.copies.link(digest(PROGRAM), target, self.verified)
        self.verified.close()
        return target if linked else None


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path)


def inode(path: Path | None) -> int:
    assert path is not None
    return path.stat().st_ino


def test_a_copy_is_used_again_by_one_program_after_the_other(keeper: Keeper) -> None:
    path = keeper.kept()
    assert path.read_bytes() == PROGRAM
    assert path.stat().st_mode & 0o7777 == 0o500
    assert subprocess.run([path], check=False).returncode == 0
    assert keeper.link() is None  # it is in use
    kept = inode(path)
    path.unlink()
    again = keeper.link()
    assert inode(again) == kept
    assert inode(keeper.kept()) != kept


def open_to_write(path: Path) -> None:
    with pytest.raises(BlockingIOError):
        os.open(path, os.O_RDWR | os.O_NONBLOCK)


def leave_a_time(path: Path) -> None:
    os.utime(path, (1, 1))


def leave_an_attribute(path: Path) -> None:
    os.setxattr(path, "user.secret", b"1")


def leave_a_link(path: Path) -> None:
    os.link(path, path.with_name("link"))


@pytest.mark.parametrize("touch", [open_to_write, leave_a_time, leave_an_attribute, leave_a_link])
def test_a_copy_that_a_job_has_touched_is_never_used_again(keeper: Keeper, touch: Callable[[Path], None]) -> None:
    path = keeper.kept()
    path.chmod(0o700)
    touch(path)
    path.unlink()
    assert keeper.link() is None


def test_a_copy_that_a_job_has_closed_is_opened_for_the_next_one(keeper: Keeper) -> None:
    path = keeper.kept()
    path.chmod(0)
    path.unlink()
    again = keeper.link()
    assert again is not None
    assert again.stat().st_mode & 0o7777 == 0o500


def test_a_file_that_a_job_put_in_the_place_of_a_copy_is_never_linked(keeper: Keeper) -> None:
    path = keeper.kept()
    (name,) = keeper.folder.glob("programs-*/*")
    path.unlink()
    name.unlink()
    name.write_bytes(b"\x7fELF evil")
    assert keeper.link() is None


def test_a_large_program_is_kept_at_once_and_a_small_one_when_it_is_used_again(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert keeper.make() is None
    assert keeper.link() is None
    keeper.kept()
    monkeypatch.setattr(kept_copies, "LARGE_BYTES", len(PROGRAM) + 1)
    assert isinstance(keeper.make(PROGRAM + b"1"), Path)


def test_a_script_is_never_kept(keeper: Keeper) -> None:
    """It may want to change itself, and would have to wait for the lease."""
    assert [keeper.make(b"#!/bin/sh\n") for _ in range(3)] == [None] * 3


def test_a_program_with_another_hash_is_not_kept(keeper: Keeper) -> None:
    assert keeper.make(sha256="0" * 64) is None
    assert keeper.make(sha256="0" * 64) is False
    assert [each.name for each in keeper.folder.iterdir() if not each.is_dir()] == ["source"]


def test_a_copy_that_is_withdrawn_leaves_nothing(keeper: Keeper) -> None:
    keeper.kept()
    stopped = threading.Event()
    stopped.set()
    before = file_descriptors(os.getpid())
    with (keeper.folder / "source").open("rb") as file, pytest.raises(DownloadStopped):
        keeper.copies.make(file.fileno(), digest(PROGRAM), keeper.target(), stopped, keeper.verified)
    assert file_descriptors(os.getpid()) == before


def test_the_least_recently_used_copies_go_when_there_are_too_many_bytes(keeper: Keeper) -> None:
    before = file_descriptors(os.getpid())
    first = keeper.kept()
    first.unlink()
    for number in range(10):
        keeper.kept(PROGRAM + b"%d" % number).unlink()
    assert keeper.link() is None
    assert len([*keeper.folder.glob("programs-*/*")]) == 9
    assert file_descriptors(os.getpid()) == before + 9
    assert keeper.copies.drop_all()
    assert not keeper.copies.drop_all()
    assert [*keeper.folder.glob("programs-*/*")] == []


def test_a_file_system_that_may_not_see_every_writer_keeps_nothing(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_copies, "FILE_SYSTEMS", ())
    assert [keeper.make() for _ in range(3)] == [None] * 3


def test_a_cache_hands_out_kept_copies_and_verified_ones(keeper: Keeper) -> None:
    cache = Cache(keeper.folder / "cache", 1 << 30, DownloadRules(), keeper.copies)
    sha256, entry = digest(PROGRAM), keeper.folder / "cache" / digest(PROGRAM)[:2] / digest(PROGRAM)
    entry.parent.mkdir()
    entry.write_bytes(PROGRAM)
    inodes = set()
    for _ in range(5):
        target = keeper.target()
        assert cache.fetch("http://127.0.0.1:1/true", sha256, target, threading.Event())
        assert target.read_bytes() == PROGRAM
        inodes.add(inode(target))
        target.unlink()
    assert len(inodes) <= 2 or not [*keeper.folder.glob("programs-*/*")]

"""A cache keeps to its size, and on a full disk to less: the least recently used programs are evicted."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobqueue.worker.programs import cache as cache_module
from jobqueue.worker.programs.download import Download, Downloader
from jobqueue.worker.programs.program_request import ProgramRequest
from tests.support.downloads import PROGRAM, Shop, sha256_of

pytestmark = pytest.mark.usefixtures("short_pauses")


def test_the_least_recently_used_program_is_evicted_first(shop: Shop) -> None:
    shop.max_bytes = 3500
    cache = shop.open()
    contents = [bytes([number]) * 1000 for number in range(4)]
    for age, content in zip((300, 200, 100), contents, strict=False):
        shop.fetch(cache, content)
        os.utime(shop.entry(content), (time.time() - age,) * 2)
    assert shop.fetch(cache, contents[0]) is True
    shop.fetch(cache, contents[3])
    assert [shop.entry(content).exists() for content in contents] == [True, False, True, True]


def test_as_many_programs_are_evicted_as_necessary(shop: Shop) -> None:
    shop.max_bytes = 3000
    cache = shop.open()
    for number in range(3):
        shop.fetch(cache, bytes([number]) * 1000)
    shop.fetch(cache, b"x" * 2500)
    assert shop.files() == {sha256_of(b"x" * 2500)}


def test_a_cache_that_was_made_smaller_shrinks_with_the_next_program(shop: Shop) -> None:
    for number in range(5):
        shop.fetch(shop.open(), bytes([number]) * 1000)
    shop.max_bytes = 1500
    shop.fetch(shop.open(), b"x" * 1000)
    assert shop.files() == {sha256_of(b"x" * 1000)}


def test_a_program_larger_than_the_cache_is_fetched_but_not_cached(shop: Shop) -> None:
    shop.max_bytes = 1000
    cache = shop.open()
    shop.fetch(cache, b"small")
    assert [shop.fetch(cache, b"x" * 1001), shop.fetch(cache, b"x" * 1001)] == [False, False]
    assert shop.latest.read_bytes() == b"x" * 1001
    assert shop.files() == {sha256_of(b"small")}


def test_a_cache_of_zero_bytes_keeps_nothing(shop: Shop) -> None:
    shop.max_bytes = 0
    cache = shop.open()
    assert [shop.fetch(cache), shop.fetch(cache)] == [False, False]
    assert shop.latest.read_bytes() == PROGRAM
    assert shop.files() == set()


DOWNLOAD = (Download, "try_once")
COPY = (cache_module, "copy_verified")
both_steps = pytest.mark.parametrize("step", [DOWNLOAD, COPY], ids=["download", "copy"])
Step = tuple[object, str]


class FullDisk:
    """A disk on which a step fails until the named files are gone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: Step, until_gone: list[Path]) -> None:
        self.refusals = 0
        step_itself = getattr(*step)

        def refuse_or_do(*arguments: object) -> object:
            if any(path.exists() for path in until_gone):
                self.refusals += 1
                raise OSError(errno.ENOSPC, "No space left on device")
            return step_itself(*arguments)

        monkeypatch.setattr(*step, refuse_or_do)


@both_steps
def test_on_a_full_disk_all_other_programs_are_evicted(shop: Shop, monkeypatch: pytest.MonkeyPatch, step: Step) -> None:
    cache = shop.open()
    others = [b"one", b"two"]
    for content in others:
        shop.fetch(cache, content)
    disk = FullDisk(monkeypatch, step, [shop.entry(content) for content in others])
    assert shop.fetch(cache) is False
    assert shop.latest.read_bytes() == PROGRAM
    assert disk.refusals == 1
    assert shop.files() == {sha256_of(PROGRAM)}


def test_on_a_full_disk_the_requested_program_is_not_evicted(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = shop.open()
    shop.fetch(cache, b"other")
    shop.fetch(cache)
    FullDisk(monkeypatch, COPY, [shop.entry(b"other")])
    assert shop.fetch(cache) is True


def test_a_disk_that_stays_full_raises_the_error_of_the_system(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = shop.open()
    shop.fetch(cache, b"other")
    disk = FullDisk(monkeypatch, DOWNLOAD, [shop.folder])
    with pytest.raises(OSError, match="No space left"):
        shop.fetch(cache)
    assert disk.refusals == 2
    with pytest.raises(OSError, match="No space left"):
        shop.fetch(cache)
    assert disk.refusals == 3  # nothing was left to evict
    assert not shop.latest.exists()
    assert shop.files() == set()


@pytest.fixture
def elsewhere(shop: Shop) -> Iterator[Path]:
    """A directory on another disk than the cache's."""
    with tempfile.TemporaryDirectory(prefix="jq-", dir="/dev/shm") as folder:
        if os.stat(folder).st_dev == os.stat(shop.folder).st_dev:
            pytest.skip("there is one file system only")
        yield Path(folder)


@both_steps
def test_the_cache_is_not_emptied_when_the_disk_of_the_target_is_full(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, elsewhere: Path, step: Step
) -> None:
    cache = shop.open()
    shop.fetch(cache, b"other")
    FullDisk(monkeypatch, step, [elsewhere])
    room = {elsewhere: 0, shop.directory: 1000}
    monkeypatch.setattr(cache_module, "free_bytes", room.__getitem__)
    with pytest.raises(OSError, match="No space left"):
        shop.fetch(cache, target=elsewhere / "program")
    assert sha256_of(b"other") in shop.files()


def test_a_program_bypasses_the_cache_when_the_cache_disk_stays_full(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> None:
    cache = shop.open()
    room = {elsewhere: 1000, shop.directory: 0}
    monkeypatch.setattr(cache_module, "free_bytes", room.__getitem__)
    begin = Downloader.begin

    def begin_elsewhere(self: Downloader, request: ProgramRequest, path: Path) -> Download:
        if shop.directory in path.parents:
            raise OSError(errno.ENOSPC, "No space left on device")
        return begin(self, request, path)

    monkeypatch.setattr(Downloader, "begin", begin_elsewhere)
    assert shop.fetch(cache, target=elsewhere / "program") is False
    assert (elsewhere / "program").read_bytes() == PROGRAM
    assert (elsewhere / "program").stat().st_mode & 0o777 == 0o500

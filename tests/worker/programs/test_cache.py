"""A program is downloaded once and then taken from the cache, whole and unchanged."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobqueue.worker.failures import Failure
from jobqueue.worker.policy.allowed_programs import AllowedPrograms
from jobqueue.worker.programs.cache import Cache
from jobqueue.worker.programs.errors import BlockedByPolicy, ChecksumMismatch, DownloadFailed, DownloadStopped
from jobqueue.worker.programs.policy import DownloadRules
from jobqueue.worker.programs.program_request import ProgramRequest
from tests.support.downloads import PROGRAM, Shop, sha256_of, short_retries
from tests.support.fake_server import Reply
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("short_pauses")


def test_a_cached_program_is_not_downloaded_again(shop: Shop) -> None:
    cache = shop.open()
    assert [shop.fetch(cache), shop.fetch(cache), shop.fetch(cache)] == [False, True, True]
    assert len(shop.host.requests) == 1


def test_a_later_worker_uses_the_programs_of_an_earlier_one(shop: Shop) -> None:
    shop.fetch(shop.open())
    assert shop.fetch(shop.open()) is True


def test_a_fetched_program_is_whole_and_executable_by_us_alone(shop: Shop) -> None:
    content = os.urandom(1_000_000)
    cache = shop.open()
    for _ in range(2):
        shop.fetch(cache, content)
        assert shop.latest.read_bytes() == content
        assert shop.latest.stat().st_mode & 0o7777 == 0o500


def test_an_empty_program_is_cached_like_any_other(shop: Shop) -> None:
    cache = shop.open()
    assert [shop.fetch(cache, b""), shop.fetch(cache, b"")] == [False, True]
    assert shop.latest.read_bytes() == b""


def test_a_cache_holds_entries_by_their_hash_and_nothing_else(shop: Shop) -> None:
    cache = shop.open()
    shop.fetch(cache)
    shop.fetch(cache)
    assert shop.files() == {sha256_of(PROGRAM)}
    assert shop.entry().is_file()


def test_the_directories_of_a_cache_are_accessible_to_us_alone(shop: Shop) -> None:
    shop.fetch(shop.open())
    assert [path.stat().st_mode & 0o7777 for path in (shop.directory, shop.entry().parent)] == [0o700, 0o700]


def test_entries_are_private_even_in_a_directory_that_others_can_read(shop: Shop) -> None:
    shop.directory.mkdir(mode=0o755)
    shop.fetch(shop.open())
    assert [path.stat().st_mode & 0o7777 for path in (shop.directory, shop.entry().parent)] == [0o755, 0o700]


def test_missing_parents_of_the_cache_directory_are_made(shop: Shop) -> None:
    cache = Cache(shop.folder / "a" / "b" / "c", shop.max_bytes, shop.rules)
    assert shop.fetch(cache) is False


def test_a_job_that_changes_its_program_leaves_the_cache_unchanged(shop: Shop) -> None:
    cache = shop.open()
    for _ in range(2):
        shop.fetch(cache)
        shop.latest.chmod(0o700)
        shop.latest.write_bytes(b"changed")
        assert shop.entry().read_bytes() == PROGRAM
        assert shop.entry().stat().st_ino != shop.latest.stat().st_ino


def test_a_target_that_exists_already_is_not_overwritten(shop: Shop, tmp_path: Path) -> None:
    cache = shop.open()
    shop.fetch(cache)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        shop.fetch(cache, target=tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("max_bytes", [0, 1000])
@pytest.mark.parametrize(
    ("reply", "rules", "error"),
    [
        (Reply(404), short_retries(), DownloadFailed),
        (Reply(body=b"wrong"), short_retries(), ChecksumMismatch),
        (Reply(body=b"short", length=100), short_retries(), DownloadFailed),
        (Reply(body=b"x" * 101), DownloadRules(max_bytes=100), DownloadFailed),
        (Reply(), DownloadRules(allowed_hosts=("elsewhere",)), BlockedByPolicy),
    ],
)
def test_a_failed_download_leaves_no_file(
    shop: Shop, max_bytes: int, reply: Reply, rules: DownloadRules, error: type[DownloadFailed]
) -> None:
    shop.max_bytes, shop.rules, shop.host.answer = max_bytes, rules, lambda _: reply
    with pytest.raises(error):
        shop.fetch(shop.open())
    assert not shop.latest.exists()
    assert shop.files() == set()


@pytest.mark.parametrize("max_bytes", [0, 1000])
def test_a_stopped_download_leaves_no_file(shop: Shop, max_bytes: int) -> None:
    def half(_: object) -> Iterator[bytes]:
        yield b"half"
        shop.stopped.set()
        shop.host.closed.wait()

    shop.max_bytes, shop.host.answer = max_bytes, lambda request: Reply(pieces=half(request), length=100)
    with pytest.raises(DownloadStopped):
        shop.fetch(shop.open())
    assert not shop.latest.exists()
    assert shop.files() == set()


@pytest.mark.parametrize("sha256", ["", "x", "../" * 21 + "x", "A" * 64, "a" * 64 + "\n", "a" * 63, "/" * 64])
def test_a_malformed_hash_is_never_used_as_a_path(shop: Shop, sha256: str) -> None:
    with pytest.raises(DownloadFailed, match="SHA-256"):
        shop.open().fetch(shop.host.url, sha256, shop.folder / "program", threading.Event())


def test_unfinished_downloads_of_a_dead_worker_are_removed_at_the_next_start(shop: Shop) -> None:
    shop.fetch(shop.open())
    dead = shop.entry(b"dead")
    dead.parent.mkdir(mode=0o700)
    for name in (f"{dead.name}.0123abcd.part", f"{dead.name}.4567abcd.part", f"{dead.name}.lock"):
        (dead.parent / name).write_bytes(b"x")
    shop.open()
    assert shop.files() == {shop.entry().name}


def test_unfinished_downloads_of_a_living_worker_are_left_alone(shop: Shop) -> None:
    seen: list[str] = []

    def look(_: object) -> Iterator[bytes]:
        yield PROGRAM[:5]
        wait_until("a part is there", lambda: any(name.endswith(".part") for name in shop.files()))
        shop.open()
        seen.extend(shop.files())
        yield PROGRAM[5:]

    shop.host.answer = lambda request: Reply(pieces=look(request), length=len(PROGRAM))
    shop.fetch(shop.open())
    assert sorted(name.rpartition(".")[2] for name in seen) == ["lock", "part"]


def test_the_rules_apply_to_cached_programs_too(shop: Shop) -> None:
    shop.fetch(shop.open())
    shop.rules = DownloadRules(allowed_hosts=("elsewhere",))
    with pytest.raises(BlockedByPolicy):
        shop.fetch(shop.open())
    assert not shop.latest.exists()


@pytest.mark.parametrize("max_bytes", [0, 1000])
def test_a_program_that_is_not_listed_is_neither_requested_nor_taken_from_the_cache(
    shop: Shop, tmp_path: Path, max_bytes: int
) -> None:
    shop.max_bytes = max_bytes
    shop.fetch(shop.open())
    requested = len(shop.host.requests)
    listed = tmp_path / "listed"
    listed.write_text(f"{sha256_of(b'another')}\n")
    shop.rules = replace(shop.rules, programs=AllowedPrograms(listed))
    cache = shop.open()
    with pytest.raises(BlockedByPolicy, match="ALLOWED_SHA256_FILE does not list the program") as caught:
        shop.fetch(cache)
    assert caught.value.failure is Failure.NOT_LISTED
    assert not shop.latest.exists()
    assert len(shop.host.requests) == requested
    listed.write_text(f"{sha256_of(PROGRAM)}\n")
    shop.fetch(cache)
    assert shop.latest.read_bytes() == PROGRAM


@pytest.mark.parametrize("content", [PROGRAM, b"\x7fELF and more"])
def test_a_copy_is_made_where_there_are_no_files_without_a_name(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr(os, "O_TMPFILE", 0)  # a directory cannot be opened for writing: EISDIR, as on such a disk
    cache = shop.open()
    assert [shop.fetch(cache, content), shop.fetch(cache, content)] == [False, True]
    assert shop.latest.read_bytes() == content
    assert shop.latest.stat().st_mode & 0o7777 == 0o500
    shop.entry(content).chmod(0o700)
    shop.entry(content).write_bytes(b"changed")
    assert shop.fetch(cache, content) is False
    assert shop.latest.read_bytes() == content


@pytest.mark.parametrize("max_bytes", [0, 1000])
@pytest.mark.parametrize("content", [PROGRAM, b"\x7fELF and more"])
def test_a_fetched_program_is_kept_open_under_its_number(shop: Shop, max_bytes: int, content: bytes) -> None:
    shop.max_bytes, shop.programs[sha256_of(content)] = max_bytes, content
    request = ProgramRequest(
        f"{shop.host.url}/{sha256_of(content)}", sha256_of(content), shop.folder / "x", shop.stopped
    )
    shop.open().fetch_requested(request)
    info = request.target.stat()
    assert request.verified.number == (info.st_dev, info.st_ino)
    request.verified.close()
    assert request.verified.number is None

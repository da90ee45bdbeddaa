"""A download is tried again when that may help, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobqueue.worker.programs.errors import ChecksumMismatch, DownloadFailed
from jobqueue.worker.programs.policy import DownloadRules
from tests.support.downloads import PROGRAM, fetch
from tests.support.fake_server import FakeServer, Reply, nobody

PASSING = (408, 425, 429, 500, 502, 503, 504)

pytestmark = pytest.mark.usefixtures("short_pauses")


def test_a_wrong_checksum_is_checked_once_more_past_all_caches(host: FakeServer, path: Path) -> None:
    with pytest.raises(ChecksumMismatch):
        fetch(host.url, path, b"something else")
    assert [request.headers.get("Cache-Control") for request in host.requests] == [None, "no-cache"]


def test_a_stale_file_from_a_cache_is_replaced_by_the_second_download(host: FakeServer, path: Path) -> None:
    host.answer = lambda request: Reply(body=PROGRAM if "Cache-Control" in request.headers else b"a longer, stale file")
    fetch(host.url, path)
    assert path.read_bytes() == PROGRAM


def test_a_failed_second_download_leaves_the_checksum_mismatch(host: FakeServer, path: Path) -> None:
    replies = iter([Reply(body=b"wrong"), Reply(404)])
    host.answer = lambda _: next(replies)
    with pytest.raises(ChecksumMismatch, match="5 bytes"):
        fetch(host.url, path)
    assert not path.exists()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451, 204, 206, 304])
def test_a_permanent_status_fails_at_once(host: FakeServer, path: Path, status: int) -> None:
    host.answer = lambda _: Reply(status)
    with pytest.raises(DownloadFailed, match=str(status)):
        fetch(host.url, path)
    assert len(host.requests) == 1


@pytest.mark.parametrize("status", PASSING)
def test_a_passing_status_is_tried_again(host: FakeServer, path: Path, status: int) -> None:
    replies = iter([Reply(status), Reply(status), Reply(body=PROGRAM)])
    host.answer = lambda _: next(replies)
    fetch(host.url, path, rules=DownloadRules())
    assert len(host.requests) == 3


def test_a_passing_status_that_stays_fails_when_the_time_for_tries_is_over(host: FakeServer, path: Path) -> None:
    host.answer = lambda _: Reply(503)
    with pytest.raises(DownloadFailed, match="503 Service Unavailable"):
        fetch(host.url, path, rules=DownloadRules(retry_seconds=1.5))
    assert len(host.requests) >= 2


def test_a_short_body_is_tried_again_and_replaced(host: FakeServer, path: Path) -> None:
    replies = iter([Reply(body=b"x" * 300_000, length=400_000), Reply(body=PROGRAM)])
    host.answer = lambda _: next(replies)
    fetch(host.url, path, rules=DownloadRules())
    assert path.read_bytes() == PROGRAM


def test_a_refused_connection_fails_when_the_time_for_tries_is_over(path: Path) -> None:
    with nobody() as url, pytest.raises(DownloadFailed, match="Connection refused"):
        fetch(url, path)


def test_a_retry_after_is_obeyed(host: FakeServer, path: Path) -> None:
    replies = iter([Reply(429, headers={"Retry-After": "1"}), Reply(body=PROGRAM)])
    host.answer = lambda _: next(replies)
    fetch(host.url, path, rules=DownloadRules())
    assert host.requests[1].at - host.requests[0].at >= 1


@pytest.mark.parametrize(
    "moment", ["soon", "-5", "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 99 Jan 1970 00:00:00 GMT", "0"]
)
def test_a_retry_after_that_is_past_or_unreadable_is_ignored(host: FakeServer, path: Path, moment: str) -> None:
    replies = iter([Reply(503, headers={"Retry-After": moment}), Reply(body=PROGRAM)])
    host.answer = lambda _: next(replies)
    fetch(host.url, path, rules=DownloadRules())


@pytest.mark.parametrize("moment", ["301", "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_a_retry_after_beyond_the_time_for_tries_is_waited_for_as_long_as_possible(
    host: FakeServer, path: Path, moment: str
) -> None:
    host.answer = lambda _: Reply(429, headers={"Retry-After": moment})
    with pytest.raises(DownloadFailed, match="429 Too Many Requests"):
        fetch(host.url, path, rules=DownloadRules(retry_seconds=1.5))
    assert len(host.requests) == 2
    assert host.requests[1].at - host.requests[0].at >= 1

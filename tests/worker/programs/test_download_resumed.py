"""A download that breaks off is resumed where it broke, and only there."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from jobqueue.net.time_limit import MinimumSpeed
from jobqueue.worker.programs.errors import ChecksumMismatch, DownloadFailed
from jobqueue.worker.programs.policy import DownloadRules
from tests.support.downloads import PROGRAM, fetch
from tests.support.fake_server import FakeServer, Reply, Request, serving
from tests.support.range_server import serving_ranges

pytestmark = pytest.mark.usefixtures("short_pauses")

CONTENT = os.urandom(2_000_000)
HALF = len(CONTENT) // 2
ANY_SPEED = MinimumSpeed(0)
PATIENT = DownloadRules()


def test_a_large_program_arrives_over_a_link_that_breaks(path: Path) -> None:
    with serving_ranges(CONTENT, 300_000) as site:
        fetch(site.url, path, CONTENT, rules=PATIENT)
    assert path.read_bytes() == CONTENT
    assert site.ranges == [None, *(f"bytes={begin}-" for begin in range(300_000, 2_000_000, 300_000))]
    assert site.conditions == [None, *['"one"'] * 6]


@pytest.mark.parametrize(
    ("version", "condition"),
    [
        ({"ETag": '"one"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}, '"one"'),
        ({"ETag": 'W/"one"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}, "Thu, 01 Jan 2026 00:00:00 GMT"),
        ({"ETag": 'W/"one"'}, None),
        ({"ETag": '"\xfc"', "Last-Modified": "yesterday"}, None),
        ({}, None),
    ],
)
def test_the_rest_is_requested_by_the_strongest_name_of_the_version(
    path: Path, version: Mapping[str, str], condition: str | None
) -> None:
    with serving_ranges(CONTENT, HALF, version=version) as site:
        fetch(site.url, path, CONTENT, rules=PATIENT)
    assert site.ranges == [None, f"bytes={HALF}-"]
    assert site.conditions == [None, condition]


def test_progress_renews_the_time_for_tries(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobqueue.worker.programs.download.backoff", lambda *_: iter([0.15] * 9))
    rules = DownloadRules(retry_seconds=0.4, minimum_speed=ANY_SPEED)
    with serving_ranges(CONTENT, len(CONTENT) // 8) as site:
        fetch(site.url, path, CONTENT, rules=rules)
    assert len(site.ranges) == 8


def test_a_few_bytes_each_time_are_no_progress(path: Path) -> None:
    rules = DownloadRules(retry_seconds=1, minimum_speed=MinimumSpeed(10_000_000))
    with serving_ranges(CONTENT, 100) as site, pytest.raises(DownloadFailed, match="ended early"):
        fetch(site.url, path, CONTENT, rules=rules)
    assert len(site.ranges) >= 2


def test_the_same_bytes_again_are_no_progress(path: Path) -> None:
    rules = DownloadRules(retry_seconds=1, minimum_speed=ANY_SPEED)
    with (
        serving_ranges(CONTENT, HALF, resumes=False) as site,
        pytest.raises(DownloadFailed, match="ended early"),
    ):
        fetch(site.url, path, CONTENT, rules=rules)
    assert len(site.ranges) >= 2


def test_a_server_that_cannot_resume_sends_the_whole_again(path: Path) -> None:
    with serving_ranges(CONTENT, HALF, resumes=False) as site:
        cut = site.answer
        site.server.answer = lambda request: cut(request) if len(site.ranges) < 2 else Reply(body=CONTENT)
        fetch(site.url, path, CONTENT, rules=PATIENT)
    assert path.read_bytes() == CONTENT
    assert site.ranges == [None, f"bytes={HALF}-"]


def elsewhere(where: str) -> Callable[[Reply], Reply]:
    return lambda reply: replace(reply, headers={**reply.headers, "Content-Range": where})


@pytest.mark.parametrize(
    "change",
    [
        lambda _: Reply(416),
        lambda reply: replace(reply, headers={"ETag": '"one"'}),
        lambda reply: replace(reply, headers={**reply.headers, "ETag": '"two"'}),
        elsewhere(f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"),
        elsewhere(f"bytes {HALF + 1}-{len(CONTENT) - 1}/{len(CONTENT)}"),
        elsewhere(f"bytes {HALF}-{len(CONTENT)}/{len(CONTENT) + 1}"),
        elsewhere("pages 1-2/3"),
    ],
    ids=["416", "no range", "another version", "from the start", "with a gap", "another size", "another unit"],
)
def test_a_rest_that_does_not_fit_is_not_appended(path: Path, change: Callable[[Reply], Reply]) -> None:
    with serving_ranges(CONTENT, HALF, change=change) as site:
        cut = site.answer
        site.server.answer = lambda request: cut(request) if len(site.ranges) < 3 else Reply(body=CONTENT)
        fetch(site.url, path, CONTENT, rules=PATIENT)
    assert path.read_bytes() == CONTENT
    assert site.ranges == [None, f"bytes={HALF}-", None]
    assert "Cache-Control" not in site.server.requests[2].headers


def test_a_part_of_the_rest_is_continued(path: Path) -> None:
    """A server may send less than it was asked for, and say so."""

    def shorten(reply: Reply) -> Reply:
        begin = len(CONTENT) - (reply.length or 0)
        where = f"bytes {begin}-{begin + 99_999}/{len(CONTENT)}"
        return Reply(206, CONTENT[begin : begin + 100_000], {**reply.headers, "Content-Range": where})

    with serving_ranges(CONTENT, len(CONTENT) - 250_000, change=shorten) as site:
        fetch(site.url, path, CONTENT, rules=PATIENT)
    assert path.read_bytes() == CONTENT
    assert len(site.ranges) == 4


def test_a_program_that_was_put_together_of_two_versions_is_downloaded_whole(path: Path) -> None:
    """The server names no version, so that only the hash shows it."""
    other = os.urandom(len(CONTENT))
    with serving_ranges(other, HALF, version={}) as site:
        first = site.answer

        def answer(request: Request) -> Reply:
            site.content = other if len(site.ranges) == 1 else CONTENT
            site.cut = HALF if len(site.ranges) == 1 else len(CONTENT)
            return first(request)

        site.server.answer = answer
        fetch(site.url, path, CONTENT, rules=PATIENT)
    assert path.read_bytes() == CONTENT
    assert site.ranges == [None, f"bytes={HALF}-", None]


def test_a_resumed_program_is_limited_in_size_like_any_other(path: Path) -> None:
    rules = DownloadRules(max_bytes=len(CONTENT) - 1)
    unsized = lambda reply: replace(reply, length=None)  # noqa: E731  # a body that is announced as short
    with serving_ranges(CONTENT, HALF, change=unsized) as site, pytest.raises(DownloadFailed, match="larger than"):
        fetch(site.url, path, CONTENT, rules=rules)


def test_a_server_that_is_away_while_a_checksum_is_checked_again_leaves_it_open(host: FakeServer, path: Path) -> None:
    replies = iter([Reply(body=b"wrong")])
    host.answer = lambda _: next(replies, Reply(503))
    with pytest.raises(DownloadFailed, match="503") as caught:
        fetch(host.url, path)
    assert not isinstance(caught.value, ChecksumMismatch)
    assert not caught.value.failure.final


def test_the_time_limit_of_a_download_holds_for_all_its_tries(path: Path) -> None:
    rules = DownloadRules(timeout_seconds=1, retry_seconds=60)
    with serving(lambda _: Reply(503)) as site, pytest.raises(DownloadFailed, match="503") as caught:
        fetch(site.url, path, PROGRAM, rules=rules)
    assert len(site.requests) >= 2
    assert not caught.value.failure.final

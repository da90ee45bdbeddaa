"""A report is on disk before it is sent, and sent until it is answered, while its slot goes on with other jobs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count, repeat
from pathlib import Path
from typing import IO

import pytest
from structlog.testing import capture_logs

from jobqueue.client.claims import Claims
from jobqueue.client.transport import Transport
from jobqueue.worker.attempts import spool as room
from jobqueue.worker.attempts.spool import Spool
from tests.support.fake_server import FakeServer, Reply, Request, in_json, serving
from tests.support.waiting import wait_until

YES = in_json({"status": "completed"})
AWAY = in_json({"error": "The database cannot be reached", "context": {}}, 503)
BODY = b'{"exit_code": 0, "stdout": "\xc3\xbc"}'


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "backoff", lambda *_: repeat(0.01))


@pytest.fixture
def api() -> Iterator[FakeServer]:
    """Answers every report until told otherwise."""
    with serving(lambda _: YES) as api:
        yield api


@pytest.fixture
def talk(api: FakeServer) -> Iterator[Claims]:
    """The connection of a slot."""
    with closing(connected(api)) as claims:
        yield claims


@pytest.fixture
def spool(api: FakeServer, tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path, api.url, lambda: connected(api))
    spool.start()
    yield spool
    api.close()
    spool.close(0)


def connected(api: FakeServer) -> Claims:
    return Claims(Transport(api.url), "executor-1")


def in_memory(content: bytes = BODY) -> IO[bytes]:
    """Return a report's body as slots have it: in a file in memory, read to its end."""
    body = open(os.memfd_create("body"), "w+b")  # noqa: SIM115  # it is the spool's to close
    body.write(content)
    body.flush()
    return body


def on_disk(parent: Path) -> list[bytes]:
    return [path.read_bytes() for path in parent.glob("*/*.json")]


def is_sent(spool: Spool) -> None:
    assert spool.wait_until_sent(20)


class Answered:
    """Counts how often it was told that a report was answered."""

    def __init__(self) -> None:
        self.times = count()
        self.told = 0

    def __call__(self) -> None:
        self.told = next(self.times) + 1


@pytest.mark.parametrize(("verb", "method"), [("complete", "PUT"), ("fail", "PUT"), ("release", "POST")])
def test_an_answered_report_was_sent_once_and_leaves_nothing(
    api: FakeServer, talk: Claims, spool: Spool, verb: str, method: str
) -> None:
    answered, body = Answered(), in_memory()
    with capture_logs() as logs:
        spool.send(talk, "job-1", verb, body, answered)
    (request,) = api.requests
    assert (request.method, request.path, request.body) == (method, f"/jobs/job-1/{verb}", BODY)
    assert answered.told == 1
    assert on_disk(spool.path) == []
    assert body.closed
    assert [(log["event"], log["job_id"]) for log in logs] == [(verb, "job-1")]


def test_a_report_is_on_disk_before_it_is_sent(api: FakeServer, talk: Claims, spool: Spool) -> None:
    found: list[list[bytes]] = []

    def look(_: Request) -> Reply:
        found.append(on_disk(spool.path))
        return YES

    api.answer = look
    spool.send(talk, "job-1", "complete", in_memory(), lambda: None)
    assert found == [[BODY]]


def test_what_waits_on_disk_takes_no_memory(api: FakeServer, talk: Claims, spool: Spool) -> None:
    api.answer = lambda _: AWAY
    body = in_memory()
    spool.send(talk, "job-1", "complete", body, lambda: None)
    assert body.closed
    assert on_disk(spool.path) == [BODY]


@pytest.mark.parametrize("status", [400, 401, 404, 413])
def test_a_refused_report_is_dropped_and_logged(api: FakeServer, talk: Claims, spool: Spool, status: int) -> None:
    api.answer = lambda _: in_json({"error": "Invalid state transition", "context": {}}, status)
    answered = Answered()
    with capture_logs() as logs:
        spool.send(talk, "job-1", "complete", in_memory(), answered)
    assert spool.wait_until_sent(0)
    assert (len(api.requests), answered.told, on_disk(spool.path)) == (1, 1, [])
    assert [(log["event"], log["job_id"]) for log in logs] == [("report_refused", "job-1")]
    assert "Invalid state transition" in logs[0]["reason"]


def test_an_unanswered_report_is_sent_until_it_is_answered(api: FakeServer, talk: Claims, spool: Spool) -> None:
    answered = Answered()
    api.answer = lambda _: YES if len(api.requests) > 5 else AWAY
    spool.send(talk, "job-1", "complete", in_memory(), answered)
    is_sent(spool)
    assert [request.body for request in api.requests] == [BODY] * 6
    assert answered.told == 1
    assert on_disk(spool.path) == []


def test_an_answer_that_was_lost_is_asked_for_again(api: FakeServer, talk: Claims, spool: Spool) -> None:
    """The connection breaks after the API has stored the result; the repeat is the same to the last byte."""
    api.answer = lambda _: Reply(length=100) if len(api.requests) == 1 else YES
    spool.send(talk, "job-1", "complete", in_memory(), lambda: None)
    is_sent(spool)
    assert [request.body for request in api.requests] == [BODY, BODY]


def test_a_report_that_is_refused_later_is_dropped_then(api: FakeServer, talk: Claims, spool: Spool) -> None:
    answered = Answered()
    api.answer = lambda _: in_json({"error": "no", "context": {}}, 404) if len(api.requests) > 2 else AWAY
    spool.send(talk, "job-1", "complete", in_memory(), answered)
    is_sent(spool)
    assert (len(api.requests), answered.told, on_disk(spool.path)) == (3, 1, [])


def test_a_slot_is_not_blocked_by_an_api_that_is_away(api: FakeServer, talk: Claims, spool: Spool) -> None:
    api.answer = lambda _: AWAY
    begun = time.monotonic()
    for number in range(20):
        spool.send(talk, f"job-{number}", "complete", in_memory(), lambda: None)
    assert time.monotonic() - begun < 10
    assert not spool.wait_until_sent(0)
    api.answer = lambda _: YES
    is_sent(spool)


def test_a_slot_is_blocked_once_and_shortly_by_an_api_that_hangs(
    api: FakeServer, talk: Claims, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "FIRST_TRY_SECONDS", 1)
    api.answer = lambda _: api.hang()
    begun = time.monotonic()
    for number in range(20):
        spool.send(talk, f"job-{number}", "complete", in_memory(), lambda: None)
    assert time.monotonic() - begun < 10
    assert len(on_disk(spool.path)) == 20


def test_a_report_is_not_held_up_by_one_that_is_never_answered(api: FakeServer, talk: Claims, spool: Spool) -> None:
    first, second = Answered(), Answered()
    api.answer = lambda request: AWAY if "job-1" in request.path else YES
    spool.send(talk, "job-1", "complete", in_memory(), first)
    spool.send(talk, "job-2", "complete", in_memory(), second)
    wait_until("the second is answered", lambda: second.told == 1)
    assert first.told == 0


def test_of_many_at_once_each_is_answered_once(api: FakeServer, talk: Claims, spool: Spool) -> None:
    numbers = count()
    api.answer = lambda _: AWAY if next(numbers) % 3 else YES
    answered = [Answered() for _ in range(80)]

    def send(first: int) -> None:
        with closing(connected(api)) as claims:
            for number in range(first, first + 10):
                spool.send(claims, f"job-{number}", "complete", in_memory(), answered[number])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(0, 80, 10)))
    is_sent(spool)
    assert [each.told for each in answered] == [1] * 80
    assert on_disk(spool.path) == []
    assert len({request.path for request in api.requests}) == 80


def test_whoever_waits_for_the_last_report_hears_that_it_was_answered(
    api: FakeServer, talk: Claims, spool: Spool
) -> None:
    assert spool.wait_until_sent(0)
    back = threading.Event()
    api.answer = lambda _: YES if back.is_set() else AWAY
    spool.send(talk, "job-1", "complete", in_memory(), lambda: None)
    assert not spool.wait_until_sent(0.05)
    back.set()
    is_sent(spool)


def test_once_closed_it_stays_closed(api: FakeServer, talk: Claims, spool: Spool) -> None:
    spool.send(talk, "job-1", "complete", in_memory(), lambda: None)
    spool.close(1)
    spool.close(1)
    assert list(spool.path.iterdir()) == []
    assert len(api.requests) == 1

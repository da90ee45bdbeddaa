"""A report is on disk before it is sent, and sent until it is answered, while its slot goes on with other jobs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count

import pytest
from structlog.testing import capture_logs

from tests.support.fake_api import FORBIDDEN, UNKNOWN_TOKEN
from tests.support.fake_server import FakeServer, Reply, Request, in_json, serving
from tests.support.spooling import (
    ACCEPTED,
    BODY,
    SHORT_PAUSES,
    UNAVAILABLE,
    Answered,
    Spooling,
    in_memory,
    on_disk,
)
from tests.support.waiting import wait_until


@pytest.fixture
def api() -> Iterator[FakeServer]:
    """Accepts every report until a test says otherwise."""
    with serving(lambda _: ACCEPTED) as api:
        yield api


@pytest.mark.parametrize(("verb", "method"), [("complete", "PUT"), ("fail", "PUT"), ("release", "POST")])
def test_an_answered_report_is_sent_once_and_leaves_nothing(
    api: FakeServer, reports: Spooling, verb: str, method: str
) -> None:
    answered, body = Answered(), in_memory()
    with capture_logs() as logs:
        reports.send("job-1", verb, body, answered)
        reports.wait_until_sent()
    (request,) = api.requests
    assert (request.method, request.path, request.body) == (method, f"/jobs/job-1/{verb}", BODY)
    assert answered.times == 1
    assert on_disk(reports.parent) == []
    assert body.closed
    assert [(log["event"], log["job_id"]) for log in logs] == [(verb, "job-1")]


def test_a_report_is_on_disk_before_it_is_sent(api: FakeServer, reports: Spooling) -> None:
    seen: list[list[bytes]] = []

    def look(_: Request) -> Reply:
        seen.append(on_disk(reports.parent))
        return ACCEPTED

    api.answer = look
    reports.send()
    reports.wait_until_sent()
    assert seen == [[BODY]]


def test_a_report_that_waits_on_disk_takes_no_memory(api: FakeServer, reports: Spooling) -> None:
    api.answer = lambda _: UNAVAILABLE
    body = in_memory()
    reports.send(body=body)
    assert body.closed
    assert on_disk(reports.parent) == [BODY]


@pytest.mark.parametrize("status", [400, 404, 413])
def test_a_refused_report_is_dropped_and_logged(api: FakeServer, reports: Spooling, status: int) -> None:
    api.answer = lambda _: in_json({"error": "Invalid state transition", "context": {}}, status)
    answered = Answered()
    with capture_logs() as logs:
        reports.send(on_done=answered)
        reports.wait_until_sent()
    assert (len(api.requests), answered.times, on_disk(reports.parent)) == (1, 1, [])
    assert [(log["event"], log["job_id"]) for log in logs] == [("report_refused", "job-1")]
    assert "Invalid state transition" in logs[0]["reason"]


def test_an_unanswered_report_is_sent_until_it_is_answered(api: FakeServer, reports: Spooling) -> None:
    answered = Answered()
    api.answer = lambda _: ACCEPTED if len(api.requests) > 5 else UNAVAILABLE
    reports.send(on_done=answered)
    reports.wait_until_sent()
    assert [request.body for request in api.requests] == [BODY] * 6
    assert answered.times == 1
    assert on_disk(reports.parent) == []


@pytest.mark.parametrize("refusal", [UNKNOWN_TOKEN, FORBIDDEN])
def test_a_report_is_kept_and_sent_until_the_api_accepts_the_token(
    api: FakeServer, reports: Spooling, refusal: Reply
) -> None:
    replaced = threading.Event()
    api.answer = lambda _: ACCEPTED if replaced.is_set() else refusal
    with capture_logs() as logs:
        reports.send()
        wait_until("it is refused several times", lambda: len(api.requests) > 3)
        assert on_disk(reports.parent) == [BODY]
        replaced.set()
        reports.wait_until_sent()
    assert {request.body for request in api.requests} == {BODY}
    assert on_disk(reports.parent) == []
    assert [log["event"] for log in logs] == ["complete"]


def test_a_report_whose_answer_was_lost_is_replayed(api: FakeServer, reports: Spooling) -> None:
    """The connection breaks after the API has stored the result; the replay is the same to the last byte."""
    api.answer = lambda _: Reply(length=100) if len(api.requests) == 1 else ACCEPTED
    reports.send()
    reports.wait_until_sent()
    assert [request.body for request in api.requests] == [BODY, BODY]


def test_a_report_that_is_refused_later_is_dropped_then(api: FakeServer, reports: Spooling) -> None:
    answered = Answered()
    api.answer = lambda _: in_json({"error": "no", "context": {}}, 404) if len(api.requests) > 2 else UNAVAILABLE
    reports.send(on_done=answered)
    reports.wait_until_sent()
    assert (len(api.requests), answered.times, on_disk(reports.parent)) == (3, 1, [])


def test_a_slot_is_not_blocked_by_an_api_that_is_away(api: FakeServer, reports: Spooling) -> None:
    """A slot that tried each of its reports for the time limit of a first try would take 100 seconds."""
    api.answer = lambda _: UNAVAILABLE
    begun = time.monotonic()
    for number in range(20):
        reports.send(f"job-{number}")
    assert time.monotonic() - begun < 10
    assert not reports.delivery.wait_until_sent(0)
    api.answer = lambda _: ACCEPTED
    reports.wait_until_sent()


def test_a_slot_is_not_blocked_by_an_api_that_hangs(api: FakeServer, reports: Spooling) -> None:
    api.answer = lambda _: api.hang()
    begun = time.monotonic()
    for number in range(20):
        reports.send(f"job-{number}")
    assert time.monotonic() - begun < 10
    assert len(on_disk(reports.parent)) == 20


def test_a_report_is_not_held_up_by_one_that_is_never_answered(api: FakeServer, reports: Spooling) -> None:
    first, second = Answered(), Answered()
    api.answer = lambda request: UNAVAILABLE if "job-1" in request.path else ACCEPTED
    reports.send("job-1", on_done=first)
    reports.send("job-2", on_done=second)
    wait_until("the second report is answered", lambda: second.times == 1)
    assert first.times == 0


def test_each_of_many_reports_sent_at_once_is_answered_once(api: FakeServer, reports: Spooling) -> None:
    numbers = count()
    api.answer = lambda _: UNAVAILABLE if next(numbers) % 3 else ACCEPTED
    answered = [Answered() for _ in range(80)]

    def send(first: int) -> None:
        for number in range(first, first + 10):
            reports.send(f"job-{number}", on_done=answered[number])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(0, 80, 10)))
    reports.wait_until_sent()
    assert [each.times for each in answered] == [1] * 80
    assert on_disk(reports.parent) == []
    assert len({request.path for request in api.requests}) == 80


def test_a_wait_for_the_last_report_ends_when_it_is_answered(api: FakeServer, reports: Spooling) -> None:
    assert reports.delivery.wait_until_sent(0)
    back = threading.Event()
    api.answer = lambda _: ACCEPTED if back.is_set() else UNAVAILABLE
    reports.send()
    assert not reports.delivery.wait_until_sent(0.05)
    back.set()
    reports.wait_until_sent()


def test_closing_a_delivery_twice_does_nothing_the_second_time(api: FakeServer, reports: Spooling) -> None:
    reports.send()
    reports.delivery.close(10)
    reports.delivery.close(1)
    assert list(reports.parent.iterdir()) == []
    assert len(api.requests) == 1


def test_reports_wait_as_long_as_the_api_wants_but_not_at_the_end(api: FakeServer, reports: Spooling) -> None:
    api.answer = lambda _: replace(UNAVAILABLE, status=429, headers={"Retry-After": "30"})
    reports.send("job-1")
    wait_until("the first try", lambda: len(api.requests) > 0)
    reports.send("job-2")
    time.sleep(20 * SHORT_PAUSES.max_retry_pause)
    assert len(api.requests) <= 2  # the second may be on its way already
    api.answer = lambda _: ACCEPTED
    reports.delivery.close(10)
    assert on_disk(reports.parent) == []

"""The executor's requests about many jobs at once, what their answers mean, and what an older API gets instead."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from jobqueue.client.batches import MAX_BEATS, Batches, Beat, ClaimRequest, Settled
from jobqueue.client.claims import Held
from jobqueue.client.older_api import OlderApi
from jobqueue.client.transport import ApiRefused, ApiUnavailable, Transport, Withdrawn
from tests.support.clock import HandClock
from tests.support.fake_server import FakeServer, Reply, Request, in_json
from tests.support.jobs import DETAILS, JOB

RESULTS = [b'{"id":"id-1","outcome":"complete","exit_code":0}', b'{"id":"id-2","outcome":"fail","exit_code":1}']
ACCEPTED = [{"id": "id-1", "status": "completed"}, {"id": "id-2", "status": "failed"}]
UNKNOWN_FIELD = in_json({"error": "Invalid request", "context": {"claim_id": ["Unknown field."]}}, 400)
NO_ROUTE = in_json({"error": "No such path", "context": {}}, 404)


@pytest.fixture
def batches(transport: Transport) -> Batches:
    return Batches(transport, "executor-1")


def test_a_claim_for_many_says_how_many_how_long_and_under_which_name(server: FakeServer, batches: Batches) -> None:
    server.answer = lambda _: in_json({"jobs": [DETAILS]})
    assert batches.claim(ClaimRequest(3, 0.5, "claim-1")) == [JOB]
    request = server.requests[0]
    assert (request.method, request.path) == ("POST", "/jobs/claim")
    assert request.json == {"executor_id": "executor-1", "max_jobs": 3, "claim_id": "claim-1", "wait_seconds": 0.5}


def test_each_claim_has_a_name_of_its_own() -> None:
    assert len({ClaimRequest(1).claim_id for _ in range(10)}) == 10


@pytest.mark.parametrize(
    "answer",
    [{}, [], {"jobs": {}}, {"jobs": [{}]}, {"jobs": [DETAILS, {**DETAILS, "id": "../x"}]}, {"jobs": [DETAILS] * 3}],
)
def test_an_answer_without_a_list_of_jobs_is_not_of_this_api(
    server: FakeServer, batches: Batches, answer: object
) -> None:
    server.answer = lambda _: in_json(answer)
    with pytest.raises(ApiUnavailable):
        batches.claim(ClaimRequest(2))


def test_a_claim_that_is_withdrawn_ends_at_once(server: FakeServer, batches: Batches) -> None:
    server.answer = lambda _: server.hang()
    withdrawn = threading.Event()
    threading.Timer(0.1, withdrawn.set).start()
    begun = time.monotonic()
    with pytest.raises(Withdrawn):
        batches.claim(ClaimRequest(1, 20), withdrawn)
    assert time.monotonic() - begun < 5


def test_a_claim_that_the_api_holds_is_not_sent_again_because_nothing_passes(
    server: FakeServer, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobqueue.client.exchange.MAX_SILENCE_SECONDS", 0.1)

    def hold(_: Request) -> Reply:
        server.closed.wait(0.4)
        return Reply(204)

    server.answer = hold
    assert batches.claim(ClaimRequest(1, 1)) == []
    assert len(server.requests) == 1


def beats(count: int, **output: Any) -> list[Beat]:
    return [Beat(JOB, output) for _ in range(count)]


def all_held(request: Request) -> Reply:
    return in_json({"lease_ms": 1, "jobs": [{"id": each["id"], "held": True} for each in request.json["jobs"]]})


def test_a_heartbeat_names_all_jobs_with_their_output(server: FakeServer, batches: Batches) -> None:
    server.answer = all_held
    output = {"stdout": {"offset": 5, "data": "more ü\0"}}
    assert batches.heartbeat(beats(1, **output), 1) == {"token-1": Held(cancel_requested=False)}
    request = server.requests[0]
    assert (request.method, request.path) == ("POST", "/jobs/bulk/heartbeat")
    assert request.json == {
        "executor_id": "executor-1",
        "jobs": [{"id": "id-1", "attempt_token": "token-1", "output": output}],
    }


@pytest.mark.parametrize(
    ("entry", "meaning"),
    [
        ({"held": True, "cancel_requested": True}, Held(cancel_requested=True)),
        ({"held": True, "cancel_requested": "yes"}, Held(cancel_requested=False)),
        ({"held": False, "code": "lease_lost"}, None),
    ],
)
def test_a_heartbeat_returns_what_the_api_says_about_a_job(
    server: FakeServer, batches: Batches, entry: dict[str, Any], meaning: Held | None
) -> None:
    server.answer = lambda _: in_json({"jobs": [{"id": "id-1", **entry}]})
    assert batches.heartbeat(beats(1), 1) == {"token-1": meaning}


def test_an_entry_about_a_store_that_is_away_says_nothing_about_the_lease(server: FakeServer, batches: Batches) -> None:
    server.answer = lambda _: in_json({"jobs": [{"id": "id-1", "held": False, "code": "store_unavailable"}]})
    assert batches.heartbeat(beats(1), 1) == {}


@pytest.mark.parametrize(
    "jobs", [None, [], {}, [7], [{"id": "id-2", "held": True}], [{"id": "id-1"}], [{"id": "id-1", "held": 1}]]
)
def test_an_answer_that_does_not_name_the_job_renews_no_lease(
    server: FakeServer, batches: Batches, jobs: object
) -> None:
    server.answer = lambda _: in_json({"jobs": jobs})
    with pytest.raises(ApiUnavailable):
        batches.heartbeat(beats(1), 1)


def test_more_jobs_or_output_than_one_request_takes_go_in_several(server: FakeServer, batches: Batches) -> None:
    server.answer = all_held
    batches.heartbeat(beats(MAX_BEATS + 1), 20)
    batches.heartbeat(beats(3, stdout={"offset": 0, "data": "x" * 1_500_000}), 20)
    assert [len(request.json["jobs"]) for request in server.requests] == [MAX_BEATS, 1, 2, 1]


def test_results_are_sent_with_a_claim_and_each_has_its_answer(server: FakeServer, batches: Batches) -> None:
    refused = {"id": "id-2", "error": "Invalid state transition", "code": "lease_lost"}
    server.answer = lambda _: in_json({"results": [ACCEPTED[0], refused], "jobs": [DETAILS]})
    finished = batches.finish(RESULTS, ClaimRequest(2, claim_id="claim-1"), 5)
    assert list(finished.results) == [Settled(), Settled("Invalid state transition")]
    assert list(finished.jobs) == [JOB]
    request = server.requests[0]
    assert (request.method, request.path) == ("POST", "/jobs/bulk/finish")
    assert request.json == {
        "executor_id": "executor-1",
        "results": [json.loads(result) for result in RESULTS],
        "claim": {"max_jobs": 2, "claim_id": "claim-1"},
    }


@pytest.mark.parametrize("code", ["store_unavailable", "store_full", "server_busy"])
def test_a_result_that_the_api_cannot_store_now_is_to_be_sent_again(
    server: FakeServer, batches: Batches, code: str
) -> None:
    full = {"id": "id-2", "error": "The database is full", "code": code}
    server.answer = lambda _: in_json({"results": [ACCEPTED[0], full]})
    assert [settled.again for settled in batches.finish(RESULTS, None, 5).results] == [False, True]


@pytest.mark.parametrize(
    "results",
    [
        None,
        [],
        ACCEPTED[:1],
        [*ACCEPTED, *ACCEPTED],
        ACCEPTED[::-1],
        [{"id": "id-1"}, {"id": "id-2"}],
        [{"id": "id-1", "status": "completed"}, {"id": "id-3", "status": "completed"}],
        ["completed", "failed"],
    ],
)
def test_an_answer_about_another_job_is_not_taken_for_a_stored_result(
    server: FakeServer, batches: Batches, results: object
) -> None:
    server.answer = lambda _: in_json({"results": results})
    with pytest.raises(ApiUnavailable):
        batches.finish(RESULTS, None, 5)


def older(request: Request) -> Reply:
    if request.path == "/jobs/claim":
        return UNKNOWN_FIELD if "max_jobs" in request.json else in_json(DETAILS)
    return NO_ROUTE if "/bulk/" in request.path else in_json({"id": "id-1", "status": "running"})


def test_an_older_api_is_asked_for_batches_once_a_minute(server: FakeServer, transport: Transport) -> None:
    clock = HandClock()
    batches = Batches(transport, "executor-1", OlderApi(clock))
    server.answer = older
    with capture_logs() as logs:
        for _ in range(2):
            assert batches.claim(ClaimRequest(3, 20)) == [JOB]
            assert batches.heartbeat(beats(1), 5) == {"token-1": Held(cancel_requested=False)}
        assert [request.path for request in server.requests] == [
            *["/jobs/claim", "/jobs/claim", "/jobs/id-1/heartbeat"],
            *["/jobs/claim", "/jobs/id-1/heartbeat"],
        ]
        clock.now += 61
        server.requests.clear()
        batches.heartbeat(beats(1), 5)
        assert [request.path for request in server.requests] == ["/jobs/bulk/heartbeat", "/jobs/id-1/heartbeat"]
    assert [log["event"] for log in logs] == ["older_api"]


def test_results_that_an_older_api_does_not_take_together_are_refused(server: FakeServer, batches: Batches) -> None:
    server.answer = older
    with pytest.raises(ApiRefused):
        batches.finish(RESULTS, None, 5)
    assert batches.older.assumed


@pytest.mark.parametrize(
    "reply", [Reply(404, b"<html>"), Reply(405, b""), in_json({"error": "no", "context": {}}, 400)]
)
def test_another_refusal_does_not_make_the_api_an_older_one(server: FakeServer, batches: Batches, reply: Reply) -> None:
    server.answer = lambda _: reply
    with pytest.raises((ApiRefused, ApiUnavailable)):
        batches.claim(ClaimRequest(1))
    assert not batches.older.assumed


def test_single_heartbeats_go_on_after_one_that_fails(server: FakeServer, batches: Batches) -> None:
    refusals = iter([True])
    server.answer = lambda request: NO_ROUTE if "/bulk/" in request.path else _single(refusals)
    assert batches.heartbeat([Beat(JOB, {}), Beat(JOB, {})], 5) == {"token-1": Held(cancel_requested=False)}


def _single(refusals: Any) -> Reply:
    return Reply(503) if next(refusals, False) else in_json({"id": "id-1"})

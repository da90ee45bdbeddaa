"""The executor's requests to the API, and what their answers mean."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import pytest

from jobqueue.client.claims import METHODS, Claims, Held
from jobqueue.client.transport import ApiRefused, ApiUnavailable, Transport
from tests.support.fake_server import JOB_ID, FakeServer, Reply, Request, in_json
from tests.support.jobs import DETAILS, JOB


@pytest.fixture
def claims(server: FakeServer, transport: Transport) -> Claims:
    server.answer = lambda _: in_json({"id": JOB_ID})
    return Claims(transport, "executor-1")


def test_a_claim_names_the_executor_and_returns_the_job(server: FakeServer, claims: Claims) -> None:
    server.answer = lambda _: in_json(DETAILS)
    assert claims.claim() == JOB
    request = server.requests[0]
    assert (request.method, request.path, request.json) == ("POST", "/jobs/claim", {"executor_id": "executor-1"})


def test_fields_of_a_newer_api_are_ignored(server: FakeServer, claims: Claims) -> None:
    server.answer = lambda _: in_json({**DETAILS, "colour": "green"})
    assert claims.claim() == JOB


def test_fields_that_an_older_api_lacks_have_defaults(server: FakeServer, claims: Claims) -> None:
    older = {name: value for name, value in DETAILS.items() if name not in ("type", "attempt", "timeout_seconds")}
    server.answer = lambda _: in_json(older)
    job = claims.claim()
    assert job is not None
    assert (job.type, job.attempt, job.timeout_seconds) == ("", 1, None)


def test_a_job_without_a_time_limit_has_none(server: FakeServer, claims: Claims) -> None:
    server.answer = lambda _: in_json({**DETAILS, "timeout_seconds": None})
    job = claims.claim()
    assert job is not None
    assert job.timeout_seconds is None


@pytest.mark.parametrize("missing", ["id", "binary_url", "attempt_token", "lease_ms"])
def test_a_job_without_a_required_field_is_not_of_this_api(server: FakeServer, claims: Claims, missing: str) -> None:
    server.answer = lambda _: in_json({name: value for name, value in DETAILS.items() if name != missing})
    with pytest.raises(ApiUnavailable, match="not a job of this API"):
        claims.claim()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", 7),
        ("id", ""),
        ("id", "../../etc/passwd"),
        ("id", "a/b"),
        ("id", "a\0b"),
        ("id", "x" * 200),
        ("binary_url", None),
        ("binary_sha256", 7),
        ("arguments", "one"),
        ("arguments", [1]),
        ("arguments", {}),
        ("env_variables", []),
        ("env_variables", {"A": 1}),
        ("attempt_token", {}),
        ("lease_ms", "60000"),
        ("lease_ms", 0),
        ("lease_ms", -1),
        ("lease_ms", True),
        ("lease_ms", float("inf")),
        ("lease_ms", float("nan")),
        ("type", 7),
        ("attempt", "first"),
        ("timeout_seconds", "2"),
        ("timeout_seconds", -1),
    ],
)
def test_a_job_with_a_field_of_another_kind_is_not_of_this_api(
    server: FakeServer, claims: Claims, name: str, value: object
) -> None:
    server.answer = lambda _: in_json({**DETAILS, name: value})
    with pytest.raises(ApiUnavailable, match="not a job of this API"):
        claims.claim()


def test_a_lease_is_counted_from_the_moment_before_the_claim(server: FakeServer, claims: Claims) -> None:
    """The lease may have begun just then, however long the answer takes."""

    def answer_late(_: Request) -> Reply:
        server.closed.wait(0.1)
        return in_json(DETAILS)

    server.answer = answer_late
    begun = time.monotonic()
    job = claims.claim()
    assert job is not None
    assert begun <= job.asked_at <= server.requests[0].at


def test_a_claim_without_a_pending_job_returns_none(server: FakeServer, claims: Claims) -> None:
    server.answer = lambda _: Reply(204)
    assert claims.claim() is None


def test_a_claim_is_sent_once(server: FakeServer, claims: Claims) -> None:
    """When the answer is lost, a second claim would take a second job."""
    server.answer = lambda _: Reply(503)
    with pytest.raises(ApiUnavailable):
        claims.claim()
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", [b"<html>sign in</html>", b"{}", b"[]", b'{"id": ', b"7", b"[" * 100_000])
def test_a_success_without_a_job_is_not_an_answer_of_the_api(server: FakeServer, claims: Claims, body: bytes) -> None:
    server.answer = lambda _: Reply(200, body)
    with pytest.raises((ApiUnavailable, ApiRefused)):
        claims.claim()


def test_a_heartbeat_names_job_executor_and_attempt(server: FakeServer, claims: Claims) -> None:
    assert claims.heartbeat(JOB, 1) == Held(cancel_requested=False)
    request = server.requests[0]
    assert (request.method, request.path) == ("PUT", "/jobs/id-1/heartbeat")
    assert request.json == {"executor_id": "executor-1", "attempt_token": "token-1"}


def test_a_heartbeat_carries_new_output(server: FakeServer, claims: Claims) -> None:
    output = {"stdout": {"offset": 5, "data": "more ü\0"}}
    claims.heartbeat(JOB, 1, output)
    assert server.requests[0].json["output"] == output


@pytest.mark.parametrize("output", [None, {}])
def test_a_heartbeat_without_new_output_has_no_output_field(
    server: FakeServer, claims: Claims, output: dict[str, Any] | None
) -> None:
    claims.heartbeat(JOB, 1, output)
    assert "output" not in server.requests[0].json


@pytest.mark.parametrize(
    ("answer", "requested"),
    [
        ({"cancel_requested": True}, True),
        ({"cancel_requested": False}, False),
        ({"status": "running"}, False),
        ({"cancel_requested": "no"}, False),
        ({"cancel_requested": None}, False),
    ],
)
def test_a_heartbeat_returns_whether_the_job_was_cancelled(
    server: FakeServer, claims: Claims, answer: dict[str, Any], requested: bool
) -> None:
    server.answer = lambda _: in_json({"id": JOB.id, **answer})
    assert claims.heartbeat(JOB, 1) == Held(requested)


FOREIGN = [b"", b"[]", b"null", b'"held"', b"<html>sign in</html>", b'{"status":"ok"}', b'{"id":"id-2"}']


@pytest.mark.parametrize("body", FOREIGN)
def test_an_answer_of_another_server_does_not_renew_a_lease(server: FakeServer, claims: Claims, body: bytes) -> None:
    server.answer = lambda _: Reply(200, body)
    with pytest.raises(ApiUnavailable):
        claims.heartbeat(JOB, 1)


def test_a_heartbeat_answered_404_means_that_the_lease_is_lost(server: FakeServer, claims: Claims) -> None:
    server.answer = lambda _: in_json({"error": "Job not found or not running", "context": {}}, 404)
    assert claims.heartbeat(JOB, 1) is None


def test_a_404_of_another_server_does_not_lose_a_lease(server: FakeServer, claims: Claims) -> None:
    server.answer = lambda _: Reply(404, b"<html>no such site</html>")
    with pytest.raises(ApiUnavailable):
        claims.heartbeat(JOB, 1)


@pytest.mark.parametrize("status", [400, 403, 415])
def test_another_refusal_of_a_heartbeat_says_nothing_about_the_lease(
    server: FakeServer, claims: Claims, status: int
) -> None:
    server.answer = lambda _: in_json({"error": "no", "context": {}}, status)
    with pytest.raises(ApiRefused):
        claims.heartbeat(JOB, 1)


def test_a_heartbeat_keeps_to_its_time_limit(server: FakeServer, claims: Claims) -> None:
    server.answer = lambda _: server.hang()
    with pytest.raises(ApiUnavailable):
        claims.heartbeat(JOB, 0.05)


def in_file(**content: object) -> io.BytesIO:
    return io.BytesIO(json.dumps(content).encode())


@pytest.mark.parametrize(("verb", "method"), [("complete", "PUT"), ("fail", "PUT"), ("release", "POST")])
def test_a_report_is_sent_as_the_file_has_it(server: FakeServer, claims: Claims, verb: str, method: str) -> None:
    claims.report("id-1", verb, in_file(exit_code=0, stdout="out\0"))
    request = server.requests[0]
    assert (request.method, request.path) == (method, f"/jobs/id-1/{verb}")
    assert request.json == {"exit_code": 0, "stdout": "out\0"}


def test_the_kinds_of_reports_are_complete_fail_and_release() -> None:
    assert set(METHODS) == {"complete", "fail", "release"}


def test_a_report_can_be_sent_again_from_the_same_file(server: FakeServer, claims: Claims) -> None:
    body = in_file(exit_code=0)
    for _ in range(2):
        claims.report("id-1", "complete", body)
    assert [request.json for request in server.requests] == [{"exit_code": 0}] * 2


def test_a_refused_report_raises_the_refusal(server: FakeServer, claims: Claims) -> None:
    server.answer = lambda _: in_json({"error": "Invalid state transition", "context": {}}, 400)
    with pytest.raises(ApiRefused, match="Invalid state transition"):
        claims.report("id-1", "complete", in_file())


def test_a_report_keeps_to_its_time_limit(server: FakeServer, claims: Claims) -> None:
    server.answer = lambda _: server.hang()
    with pytest.raises(ApiUnavailable):
        claims.report("id-1", "complete", in_file(), 0.05)


@pytest.mark.parametrize("body", FOREIGN)
def test_an_answer_of_another_server_is_not_taken_for_a_stored_result(
    server: FakeServer, claims: Claims, body: bytes
) -> None:
    server.answer = lambda _: Reply(200, body)
    with pytest.raises(ApiUnavailable):
        claims.report("id-1", "complete", in_file())


def test_a_holder_is_executor_and_attempt(claims: Claims) -> None:
    assert claims.holder(JOB) == {"executor_id": "executor-1", "attempt_token": "token-1"}

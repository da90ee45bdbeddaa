"""What an executor asks of the API, and what it makes of the answers."""

from __future__ import annotations

from typing import Any

import pytest

from jobqueue.client.claims import ClaimedJob, Claims, Report
from jobqueue.client.transport import ApiRefused, ApiUnavailable, Transport
from tests.client.fake_server import FakeServer, Reply, in_json

JOB = ClaimedJob("id-1", "http://host/program", "ab" * 32, ["one", ""], {"KEY": "value"}, "token-1", 60_000)
DETAILS: dict[str, Any] = {
    "id": "id-1",
    "type": "demo",
    "binary_url": "http://host/program",
    "binary_sha256": "ab" * 32,
    "arguments": ["one", ""],
    "env_variables": {"KEY": "value"},
    "priority": "background",
    "status": "running",
    "stdout": "",
    "attempts": [],
    "attempt_token": "token-1",
    "lease_ms": 60_000,
}


@pytest.fixture
def claims(transport: Transport) -> Claims:
    return Claims(transport, "executor-1")


def test_a_claim_names_the_executor_and_returns_the_job(server: FakeServer, claims: Claims) -> None:
    server.answer = lambda _: in_json(DETAILS)
    assert claims.claim() == JOB
    request = server.requests[0]
    assert (request.method, request.path, request.json) == ("POST", "/jobs/claim", {"executor_id": "executor-1"})


def test_fields_that_a_newer_api_adds_do_no_harm(server: FakeServer, claims: Claims) -> None:
    server.answer = lambda _: in_json({**DETAILS, "colour": "green"})
    assert claims.claim() == JOB


def test_no_job_is_none(server: FakeServer, claims: Claims) -> None:
    server.answer = lambda _: Reply(204)
    assert claims.claim() is None


def test_a_claim_is_asked_once(server: FakeServer, claims: Claims) -> None:
    """Its answer may be lost: asking again would take a second job."""
    server.answer = lambda _: Reply(503)
    with pytest.raises(ApiUnavailable):
        claims.claim()
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", [b"<html>sign in</html>", b"{}", b"[]", b'{"id": ', b"7", b"[" * 100_000])
def test_a_yes_that_is_no_job_is_no_answer_of_the_api(server: FakeServer, claims: Claims, body: bytes) -> None:
    server.answer = lambda _: Reply(200, body)
    with pytest.raises((ApiUnavailable, ApiRefused)):
        claims.claim()


def test_a_heartbeat_names_job_executor_and_attempt(server: FakeServer, claims: Claims) -> None:
    assert claims.heartbeat(JOB, 1)
    request = server.requests[0]
    assert (request.method, request.path) == ("PUT", "/jobs/id-1/heartbeat")
    assert request.json == {"executor_id": "executor-1", "attempt_token": "token-1"}


def test_a_heartbeat_answered_404_means_that_the_lease_is_lost(server: FakeServer, claims: Claims) -> None:
    server.answer = lambda _: in_json({"error": "Job not found or not running", "context": {}}, 404)
    assert not claims.heartbeat(JOB, 1)


@pytest.mark.parametrize("status", [400, 401, 403, 415])
def test_another_refusal_of_a_heartbeat_says_nothing_about_the_lease(
    server: FakeServer, claims: Claims, status: int
) -> None:
    server.answer = lambda _: in_json({"error": "no", "context": {}}, status)
    with pytest.raises(ApiRefused):
        claims.heartbeat(JOB, 1)


def test_a_heartbeat_waits_no_longer_than_it_is_told(server: FakeServer, claims: Claims) -> None:
    server.answer = lambda _: server.hang()
    with pytest.raises(ApiUnavailable):
        claims.heartbeat(JOB, 0.05)


def test_a_success_is_reported_as_complete(server: FakeServer, claims: Claims) -> None:
    claims.report(JOB, Report(0, "out\0", "err�"))
    request = server.requests[0]
    assert (request.method, request.path) == ("PUT", "/jobs/id-1/complete")
    assert request.json == {
        "executor_id": "executor-1",
        "attempt_token": "token-1",
        "exit_code": 0,
        "stdout": "out\0",
        "stderr": "err�",
    }


def test_a_failure_is_reported_as_fail_with_its_reason(server: FakeServer, claims: Claims) -> None:
    claims.report(JOB, Report(None, error_message="checksum mismatch"))
    request = server.requests[0]
    assert (request.method, request.path) == ("PUT", "/jobs/id-1/fail")
    assert (request.json["exit_code"], request.json["error_message"]) == (None, "checksum mismatch")


def test_a_page_of_something_else_is_not_taken_for_a_stored_result(server: FakeServer, claims: Claims) -> None:
    server.answer = lambda _: Reply(200, b"<html>sign in</html>")
    with pytest.raises((ApiUnavailable, ApiRefused)):
        claims.report(JOB, Report(0))

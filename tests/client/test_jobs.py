"""The submitter's requests to the API."""

from __future__ import annotations

import pytest

from jobqueue.client.jobs import Jobs
from jobqueue.client.transport import ApiRefused, ApiUnavailable, Transport
from tests.support.fake_server import FakeServer, Reply, in_json

JOB = {"type": "demo", "binary_url": "http://host/program", "binary_sha256": "ab" * 32, "priority": "background"}


@pytest.fixture
def jobs(transport: Transport) -> Jobs:
    return Jobs(transport)


def test_a_job_is_submitted_as_given_and_known_by_its_id(server: FakeServer, jobs: Jobs) -> None:
    server.answer = lambda _: in_json({"id": "id-1", "type": "demo", "status": "pending"}, 201)
    assert jobs.submit(JOB) == "id-1"
    request = server.requests[0]
    assert (request.method, request.path, request.json) == ("POST", "/jobs", JOB)


def test_a_submit_is_sent_once(server: FakeServer, jobs: Jobs) -> None:
    """When the answer is lost, a second submit would run the job twice."""
    server.answer = lambda _: Reply(503)
    with pytest.raises(ApiUnavailable):
        jobs.submit(JOB)
    assert len(server.requests) == 1


@pytest.mark.parametrize("answer", [[], {}, "id-1", {"status": "healthy"}])
def test_an_answer_without_a_job_is_not_of_this_api(server: FakeServer, jobs: Jobs, answer: object) -> None:
    server.answer = lambda _: in_json(answer)
    for ask in (lambda: jobs.submit(JOB), lambda: jobs.get("id-1")):
        with pytest.raises(ApiUnavailable, match="not a job of this API"):
            ask()


def test_a_refused_job_carries_the_details(server: FakeServer, jobs: Jobs) -> None:
    server.answer = lambda _: in_json({"error": "Invalid request", "context": {"type": ["Missing"]}}, 400)
    with pytest.raises(ApiRefused) as caught:
        jobs.submit({})
    assert caught.value.context == {"type": ["Missing"]}


def test_a_job_is_returned_as_the_api_shows_it(server: FakeServer, jobs: Jobs) -> None:
    server.answer = lambda _: in_json({"id": "id-1", "status": "completed", "attempts": []})
    assert jobs.get("id-1") == {"id": "id-1", "status": "completed", "attempts": []}
    assert (server.requests[0].method, server.requests[0].path) == ("GET", "/jobs/id-1")


def test_an_unknown_job_is_refused(server: FakeServer, jobs: Jobs) -> None:
    server.answer = lambda _: in_json({"error": "Job not found", "context": {}}, 404)
    with pytest.raises(ApiRefused, match="404: Job not found"):
        jobs.get("id-1")

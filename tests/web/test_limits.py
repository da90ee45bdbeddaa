"""What is one too many is answered 429, in the one error shape, with the limit and `Retry-After`."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from werkzeug.test import TestResponse

from jobqueue.queue.policy import Policy
from jobqueue.web import config
from tests.support.bench import Bench
from tests.support.web import JOB, Api


def limited(client: redis.Redis, **limits: int) -> Api:
    return Api(Bench(client, Policy(**limits)))


def context_of(response: TestResponse, code: str) -> dict[str, Any]:
    """Return the facts of a refusal."""
    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) > 0
    answer = response.get_json()
    assert answer["context"].pop("code") == code
    context: dict[str, Any] = answer["context"]
    assert all(str(value) in answer["error"] for value in context.values())
    return context


def test_a_job_for_a_full_queue_is_answered_429_with_the_limit(client: redis.Redis) -> None:
    api = limited(client, max_pending=2)
    api.submit()
    api.submit()
    assert context_of(api.call("POST", "/jobs", JOB), "queue_full") == {"limit": 2, "pending": 2}
    api.claim()
    api.submit()


def test_a_bulk_with_more_jobs_than_there_is_room_for_is_refused_as_a_whole(client: redis.Redis) -> None:
    api = limited(client, max_pending_of_type=2)
    api.submit(type="a")
    other = JOB | {"type": "other"}
    response = api.call("POST", "/jobs/bulk", [other, JOB | {"type": "a"}, other, JOB | {"type": "a"}])
    assert context_of(response, "queue_full") == {"limit": 2, "pending": 1, "type": "a"}
    assert api.get("/admin/stats")["jobs_by_status"]["pending"] == 1
    assert api.call("POST", "/jobs/bulk", [other, JOB | {"type": "a"}, other]).status_code == 201


def test_ten_thousand_jobs_are_refused_by_one_too_many(real_bench: Bench) -> None:
    api = limited(real_bench.client, max_pending=10_000)
    api.submit()
    response = api.call("POST", "/jobs/bulk", [JOB] * 10_000)
    assert context_of(response, "queue_full") == {"limit": 10_000, "pending": 1}
    assert api.get("/admin/stats")["jobs_by_status"]["pending"] == 1


def test_a_repeated_request_is_answered_as_the_first_time_by_a_full_queue(client: redis.Redis) -> None:
    api = limited(client, max_pending=1)
    first, again = (
        api.call("POST", "/jobs", JOB, headers={"Idempotency-Key": key}) for key in ("order-1", '"order-1"')
    )
    assert again.get_json() == first.get_json()
    assert (again.status_code, again.headers["Idempotent-Replay"]) == (201, "true")
    assert api.call("POST", "/jobs", JOB, headers={"Idempotency-Key": "order-2"}).status_code == 429


def test_a_new_type_beyond_the_limit_is_answered_429_with_its_name(client: redis.Redis) -> None:
    api = limited(client, max_types=1)
    api.submit(type="known")
    refused = api.call("POST", "/jobs", JOB | {"type": "new"})
    assert context_of(refused, "too_many_types") == {"limit": 1, "type": "new"}
    api.submit(type="known")


@pytest.mark.parametrize("more", [{}, {"wait_seconds": 5}, {"wait_seconds": 5, "claim_id": "claim"}, {"max_jobs": 2}])
def test_a_new_executor_beyond_the_limit_is_answered_429_at_once(client: redis.Redis, more: dict[str, Any]) -> None:
    api = limited(client, max_executors=1)
    api.call("POST", "/jobs/claim", {"executor_id": "worker-1"})
    refused = api.call("POST", "/jobs/claim", {"executor_id": "worker-2"} | more)
    assert context_of(refused, "too_many_executors") == {"limit": 1}
    api.submit()
    api.claim("worker-1")


def test_reports_are_answered_although_the_claim_along_with_them_is_refused(client: redis.Redis) -> None:
    api = limited(client, max_executors=1)
    job_id = api.submit()
    api.claim("worker-1")
    body = {
        "executor_id": "worker-2",
        "results": [{"id": job_id, "attempt_token": "a token", "outcome": "complete", "exit_code": 0}],
        "claim": {"wait_seconds": 5},
    }
    response = api.call("POST", "/jobs/bulk/finish", body)
    assert response.status_code == 200
    assert response.headers["Retry-After"]
    assert [each["code"] for each in response.get_json()["results"]] == ["lease_lost"]
    assert response.get_json()["jobs"] == []


def test_the_settings_reach_the_queue() -> None:
    names = ("MAX_PENDING_JOBS", "MAX_PENDING_JOBS_PER_TYPE", "MAX_TYPES", "MAX_EXECUTORS")
    policy = config.load({name: str(number) for number, name in enumerate(names, 1)}).policy
    assert (policy.max_pending, policy.max_pending_of_type, policy.max_types, policy.max_executors) == (1, 2, 3, 4)
    assert config.load({}).policy.submit_limits == config.load({}).policy.executor_limit == ""

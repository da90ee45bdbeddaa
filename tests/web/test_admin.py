"""The operators' routes: counts of jobs, and the active executors."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from jobqueue.queue.policy import Policy
from tests.support.web import START, Api

STATUSES = ("pending", "running", "completed", "failed", "cancelled")


def test_stats_of_an_empty_queue_have_every_count_at_zero(api: Api) -> None:
    assert api.get("/admin/stats") == {
        "jobs_by_status": dict.fromkeys(STATUSES, 0),
        "pending_by_priority": {"foreground": 0, "background": 0, "best_effort": 0},
        "active_executors": 0,
    }
    assert api.get("/admin/executors") == []


def test_stats_count_jobs_by_status_and_the_pending_ones_by_priority(api: Api) -> None:
    counts = {"cancelled": 1, "failed": 2, "completed": 3, "running": 4}
    for status, count in counts.items():
        for _ in range(count):
            api.make_job(status)
    for priority, count in {"foreground": 2, "background": 5, "best_effort": 3}.items():
        for _ in range(count):
            api.submit(priority=priority)
    assert api.get("/admin/stats") == {
        "jobs_by_status": {"pending": 10, **counts},
        "pending_by_priority": {"foreground": 2, "background": 5, "best_effort": 3},
        "active_executors": 1,
    }


def test_an_executor_is_shown_with_its_job_and_its_last_heartbeat(api: Api) -> None:
    job_id = api.submit(type="data-processing")
    api.claim("worker-1-abc123")
    api.bench.clock.advance(30_999)
    api.report("heartbeat", job_id, "worker-1-abc123")
    assert api.get("/admin/executors") == [
        {
            "executor_id": "worker-1-abc123",
            "current_job_id": job_id,
            "job_type": "data-processing",
            "last_heartbeat": "2023-11-14T22:13:50Z",
            "jobs_completed": 0,
        }
    ]


def test_an_executor_without_a_job_shows_null(api: Api) -> None:
    api.call("POST", "/jobs/claim", {"executor_id": "worker-1"})
    assert api.get("/admin/executors") == [
        {
            "executor_id": "worker-1",
            "current_job_id": None,
            "job_type": None,
            "last_heartbeat": START,
            "jobs_completed": 0,
        }
    ]


def test_the_current_job_is_the_newest_that_still_runs(api: Api) -> None:
    first, second = api.submit(type="one"), api.submit(type="two")
    for _ in (first, second):
        api.claim()
        api.bench.clock.advance(1)
    (executor,) = api.get("/admin/executors")
    assert (executor["current_job_id"], executor["job_type"]) == (second, "two")
    api.report("fail", second)
    (executor,) = api.get("/admin/executors")
    assert (executor["current_job_id"], executor["job_type"]) == (first, "one")


def test_completed_jobs_are_counted_and_failed_ones_are_not(api: Api) -> None:
    for status in ("completed", "completed", "failed", "running", "cancelled"):
        api.make_job(status)
    assert api.get("/admin/executors")[0]["jobs_completed"] == 2


def test_the_executor_with_the_latest_request_is_listed_first(api: Api) -> None:
    for name in ("worker-1", "worker-2", "worker-3", "worker-1"):
        api.call("POST", "/jobs/claim", {"executor_id": name})
        api.bench.clock.advance(1)
    assert [each["executor_id"] for each in api.get("/admin/executors")] == ["worker-1", "worker-3", "worker-2"]


@pytest.mark.parametrize("verb", ["claim", "heartbeat", "complete", "fail"])
def test_every_accepted_request_keeps_an_executor_active(api: Api, verb: str) -> None:
    job_id = api.submit()
    api.claim()
    api.bench.clock.advance(100_000)
    if verb == "claim":
        api.call("POST", "/jobs/claim", {"executor_id": "worker-1"})
    else:
        assert api.report(verb, job_id).status_code == 200
    api.bench.clock.advance(119_999)
    assert api.get("/admin/stats")["active_executors"] == 1


@pytest.mark.parametrize("policy", [Policy(), Policy(executor_timeout_ms=500)])
def test_a_silent_executor_is_no_longer_active(api: Api, policy: Policy) -> None:
    api.call("POST", "/jobs/claim", {"executor_id": "worker-1"})
    api.bench.clock.advance(policy.executor_timeout_ms - 1)
    assert len(api.get("/admin/executors")) == api.get("/admin/stats")["active_executors"] == 1
    api.bench.clock.advance(1)
    assert len(api.get("/admin/executors")) == api.get("/admin/stats")["active_executors"] == 0


def test_a_refused_report_does_not_make_an_executor_active(api: Api) -> None:
    job_id = api.make_job("running")
    for verb in ("heartbeat", "complete", "fail"):
        api.report(verb, job_id, "worker-2")
    assert [each["executor_id"] for each in api.get("/admin/executors")] == ["worker-1"]


def test_following_the_links_shows_every_executor_once(api: Api) -> None:
    names = {f"worker-{number}" for number in range(1100)}
    api.bench.client.zadd("{jobqueue}:executors", dict.fromkeys(names, api.bench.clock.now_ms))
    first = api.call("GET", "/admin/executors")
    assert (len(first.get_json()), first.headers["X-Total-Count"]) == (1000, "1100")
    parts = urlsplit(first.headers["Link"].partition(">")[0].lstrip("<"))
    second = api.call("GET", f"/admin/executors?{parts.query}")
    assert "Link" not in second.headers
    assert {each["executor_id"] for each in [*first.get_json(), *second.get_json()]} == names
    assert api.get("/admin/stats")["active_executors"] == 1100


def test_limit_and_offset_select_a_page_of_executors(api: Api) -> None:
    for name in ("worker-1", "worker-2", "worker-3"):
        api.call("POST", "/jobs/claim", {"executor_id": name})
        api.bench.clock.advance(1)
    response = api.call("GET", "/admin/executors?limit=1&offset=1")
    assert [each["executor_id"] for each in response.get_json()] == ["worker-2"]
    assert response.headers["X-Total-Count"] == "3"
    assert response.headers["Link"] == '<?limit=1&offset=2>; rel="next"'  # relative to the URL of the request


@pytest.mark.parametrize(("name", "values"), [("limit", ["0", "1001", "x", "-1"]), ("offset", ["-1", "x", "1e3"])])
def test_a_bad_page_of_executors_is_refused_by_name(api: Api, name: str, values: list[str]) -> None:
    for value in values:
        response = api.call("GET", f"/admin/executors?{name}={value}")
        assert (response.status_code, list(response.get_json()["context"])) == (400, [name])


def test_any_number_of_executor_ids_leaves_ten_thousand(api: Api) -> None:
    names = {f"worker-{number}": api.bench.clock.now_ms for number in range(20_000)}
    api.bench.client.zadd("{jobqueue}:executors", names)
    while api.bench.commands.sweep().more:
        pass
    assert api.get("/admin/stats")["active_executors"] == 10_000
    assert len(api.call("GET", "/admin/executors").data) < 200_000

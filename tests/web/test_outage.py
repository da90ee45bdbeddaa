"""Outages of Redis: paused, killed, or not started yet. Requests are answered in time, and the server recovers."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.restartable_redis import RestartableRedis, restartable_redis
from tests.support.serving import Server, at_once, running_api
from tests.support.waiting import wait_until
from tests.support.web import JOB, NEEDS_REDIS, UNHEALTHY

LONGEST_SECONDS = 5.0
RECOVERY_SECONDS = 2.0
CROWD = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outage")


@pytest.fixture(scope="module")
def own_redis(folder: Path) -> Iterator[RestartableRedis]:
    with restartable_redis(folder) as server:
        server.start()
        yield server


@pytest.fixture(scope="module")
def server(folder: Path, own_redis: RestartableRedis) -> Iterator[Server]:
    with running_api(folder, REDIS_URL=own_redis.url) as api:
        yield api


def take_away(own_redis: RestartableRedis, how: str) -> None:
    own_redis.pause() if how == "paused" else own_redis.kill()


def bring_back(own_redis: RestartableRedis, how: str) -> None:
    own_redis.resume() if how == "paused" else own_redis.start()


@pytest.fixture(params=["paused", "killed"])
def outage(request: pytest.FixtureRequest, own_redis: RestartableRedis, server: Server) -> Iterator[str]:
    """Redis is unavailable during the test."""
    wait_until("all is well", lambda: recovered(server))
    take_away(own_redis, request.param)
    yield request.param
    bring_back(own_redis, request.param)


def recovered(server: Server) -> bool:
    """Return whether both processes reach Redis again: every logged outage has ended, and 16 requests succeed."""
    over = server.log.count("event=redis_away") == server.log.count("event=redis_back")
    return all(at_once([server.is_healthy] * 16)) and over


def timed(server: Server, method: str, path: str, body: Any) -> tuple[requests.Response, float]:
    started = time.monotonic()
    return server.call(method, path, body), time.monotonic() - started


def assert_refused_in_time(answers: list[tuple[requests.Response, float]]) -> None:
    assert max(seconds for _, seconds in answers) < LONGEST_SECONDS
    for response, _ in answers:
        assert response.status_code == 503
        assert response.headers["Content-Type"] == "application/json"
        assert list(response.json()) == ["error", "context"]
        assert response.json()["context"]["code"] == "store_unavailable"
        assert int(response.headers["Retry-After"]) >= 1


def test_every_route_answers_503_in_time_while_redis_is_away(server: Server, outage: str) -> None:
    assert_refused_in_time(at_once([partial(timed, server, *route) for route in NEEDS_REDIS]))


@pytest.mark.parametrize("count", [CROWD, 4 * CROWD])  # fewer and more than the server lets run at once
def test_many_requests_at_once_are_answered_503_in_time(server: Server, outage: str, count: int) -> None:
    crowd = [partial(timed, server, *NEEDS_REDIS[number % len(NEEDS_REDIS)]) for number in range(count)]
    assert_refused_in_time(at_once(crowd))
    assert_refused_in_time(at_once(crowd))


def test_health_and_metrics_are_served_while_redis_is_away(server: Server, outage: str) -> None:
    probes = [partial(timed, server, "GET", path, None) for path in ("/health", "/metrics") * 5]
    answers = at_once(probes)
    assert max(seconds for _, seconds in answers) < LONGEST_SECONDS
    for response, _ in answers[::2]:
        assert response.status_code == 503
        assert response.json() == UNHEALTHY
    for response, _ in answers[1::2]:
        assert response.status_code == 200
        assert "\njobqueue_redis_up 0.0\n" in response.text


@pytest.mark.parametrize("how", ["paused", "killed"])
def test_the_server_recovers_from_an_outage_without_a_restart_or_a_lost_job(
    server: Server, own_redis: RestartableRedis, how: str
) -> None:
    wait_until("all is well", lambda: recovered(server))
    # In a hurry, before what the crowds sent: some of that was done after all, when Redis went on.
    job_id = server.call("POST", "/jobs", {**JOB, "priority": "foreground"}).json()["id"]
    take_away(own_redis, how)
    wait_until("the outage is noticed", lambda: server.call("GET", f"/jobs/{job_id}").status_code == 503)
    bring_back(own_redis, how)
    wait_until("all is well again", lambda: recovered(server), RECOVERY_SECONDS)
    assert server.call("GET", f"/jobs/{job_id}").json()["id"] == job_id
    assert server.call("POST", "/jobs/claim", {"executor_id": "worker-1"}).json()["id"] == job_id
    assert (
        server.call("PUT", f"/jobs/{job_id}/complete", {"executor_id": "worker-1", "exit_code": 0}).status_code == 200
    )
    assert server.process.poll() is None
    assert len(re.findall("Booting worker", server.log)) == 2
    assert not re.findall("event=crash|Traceback|sweep_failed", server.log)


def test_an_outage_is_logged_when_it_starts_and_when_it_ends(server: Server, own_redis: RestartableRedis) -> None:
    wait_until("all is well", lambda: recovered(server))
    before = len(server.log)
    own_redis.kill()
    assert_refused_in_time(at_once([partial(timed, server, "GET", "/jobs", None)] * CROWD))
    own_redis.start()
    wait_until("all is well again", lambda: recovered(server), RECOVERY_SECONDS)
    events = re.findall(r"event=(\w+)", server.log[before:])
    assert sorted(events) == ["redis_away"] * 2 + ["redis_back"] * 2


def test_a_server_that_starts_before_redis_works_once_redis_is_there(tmp_path: Path) -> None:
    with restartable_redis(tmp_path) as late, running_api(tmp_path, REDIS_URL=late.url) as server:
        health = server.call("GET", "/health")
        assert (health.status_code, health.json(), health.headers["Retry-After"]) == (503, UNHEALTHY, "1")
        assert_refused_in_time([timed(server, "POST", "/jobs", JOB)])
        late.start()
        wait_until("all is well", lambda: recovered(server), RECOVERY_SECONDS)
        assert server.call("POST", "/jobs", JOB).status_code == 201


def test_the_job_of_a_silent_executor_shows_as_pending_though_nobody_claims(tmp_path: Path, redis_url: str) -> None:
    with running_api(tmp_path, REDIS_URL=redis_url, HEARTBEAT_TIMEOUT_SECONDS="1", MAX_ATTEMPTS="2") as server:
        job_id = server.call("POST", "/jobs", JOB).json()["id"]

        def stats_count(status: str) -> bool:
            return bool(server.call("GET", "/admin/stats").json()["jobs_by_status"][status] == 1)

        for expected in ("pending", "failed"):
            assert server.call("POST", "/jobs/claim", {"executor_id": "worker-1"}).json()["lease_ms"] == 1000
            wait_until("stats show it", partial(stats_count, expected), 1.0 + RECOVERY_SECONDS)
            assert server.call("GET", f"/jobs/{job_id}").json()["status"] == expected
            assert [job["id"] for job in server.call("GET", f"/jobs?status={expected}").json()] == [job_id]
        assert "lost 2 of at most 2" in server.call("GET", f"/jobs/{job_id}").json()["error_message"]

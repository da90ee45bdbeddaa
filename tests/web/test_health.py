"""The health check, and what every route answers while Redis is unavailable or full."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from jobqueue.queue.connection import connect
from tests.support.bench import Bench
from tests.support.web import HOLDER, JOB, NEEDS_REDIS, UNHEALTHY, Api


@pytest.fixture
def without_redis(tmp_path: Path) -> Iterator[Api]:
    """The app without a Redis."""
    with connect(f"unix://{tmp_path}/none.sock") as client:
        yield Api(Bench(client))


def test_with_redis_the_server_is_healthy(api: Api) -> None:
    assert api.get("/health") == {"status": "healthy", "database": "connected"}


def test_without_redis_the_server_is_unhealthy(without_redis: Api) -> None:
    response = without_redis.call("GET", "/health")
    assert response.status_code == 503
    assert response.get_json() == UNHEALTHY


def test_without_redis_the_server_is_alive(without_redis: Api) -> None:
    assert without_redis.get("/health/live") == {"status": "alive"}


def test_without_redis_metrics_and_the_document_are_still_served(without_redis: Api) -> None:
    assert without_redis.call("GET", "/metrics").status_code == 200
    assert without_redis.call("GET", "/openapi.json").status_code == 200


def test_the_table_of_routes_that_need_redis_is_complete(api: Api) -> None:
    adapter = api.app.url_map.bind("localhost")
    named = {adapter.match(f"/api/v1{path.partition('?')[0]}", method)[0] for method, path, _ in NEEDS_REDIS}
    others = {"health.health", "health.live", "health.metrics", "api-docs.openapi_json"}
    assert named | others == {rule.endpoint for rule in api.app.url_map.iter_rules()}


@pytest.mark.parametrize(("method", "path", "body"), NEEDS_REDIS)
def test_without_redis_every_other_route_answers_503_with_retry_after(
    without_redis: Api, method: str, path: str, body: Any
) -> None:
    response = without_redis.call(method, path, body)
    assert response.status_code == 503
    assert response.get_json()["context"]["code"] == "store_unavailable"
    assert int(response.headers["Retry-After"]) >= 1


@pytest.mark.parametrize(("path", "status"), [("/jobs?limit=0", 400), ("/jobs/x", 404)])
def test_without_redis_an_invalid_request_still_gets_its_own_error(without_redis: Api, path: str, status: int) -> None:
    assert without_redis.call("GET", path).status_code == status


@pytest.fixture
def full(api: Api) -> Iterator[Api]:
    """The app on a Redis without free memory, with two running jobs and a pending one."""
    api.bench.submit(3)
    api.claim("worker-1")
    api.claim("worker-1")
    api.bench.client.config_set("maxmemory", 1)
    yield api
    api.bench.client.config_set("maxmemory", 0)


@pytest.mark.parametrize(("path", "body"), [("/jobs", JOB), ("/jobs/bulk", [JOB, JOB])])
def test_a_full_redis_refuses_new_jobs(full: Api, path: str, body: Any) -> None:
    response = full.call("POST", path, body)
    assert response.status_code == 503
    assert response.get_json()["context"] == {"code": "store_full"}
    assert int(response.headers["Retry-After"]) >= 1
    assert full.call("GET", "/jobs").headers["X-Total-Count"] == "3"


def test_jobs_go_on_while_redis_is_full(full: Api) -> None:
    running = [job["id"] for job in full.get("/jobs?status=running")]
    assert full.report("heartbeat", running[0]).status_code == 200
    assert full.report("complete", running[0], stdout="x" * 100_000).status_code == 200
    assert full.report("fail", running[1]).status_code == 200
    assert full.claim()["status"] == "running"
    assert full.get("/health") == {"status": "degraded", "database": "full"}
    assert "\njobqueue_store_full 1.0\n" in full.call("GET", "/metrics").text


def test_scripts_are_loaded_again_after_redis_has_lost_them(api: Api) -> None:
    for _ in range(2):
        api.bench.client.script_flush()
        job_id = api.submit()
        api.bench.client.script_flush()
        assert api.claim()["id"] == job_id


def test_a_replica_is_unhealthy_as_long_as_it_takes_no_writes(real_client: redis.Redis) -> None:
    own = Api(Bench(real_client))
    real_client.slaveof("127.0.0.1", 1)
    try:
        response = own.call("GET", "/health")
    finally:
        real_client.slaveof()
    assert (response.status_code, response.get_json()) == (503, {"status": "unhealthy", "database": "read_only"})
    assert own.get("/health") == {"status": "healthy", "database": "connected"}
    assert real_client.keys() == []


def test_a_user_who_may_not_try_the_write_is_healthy_as_long_as_redis_answers(real_client: redis.Redis) -> None:
    real_client.acl_setuser(
        "quiet", enabled=True, nopass=True, keys=["*"], categories=["+@all"], commands=["-setrange"], reset=True
    )
    try:
        path = real_client.connection_pool.connection_kwargs["address"].path
        with connect(f"unix://quiet:any@{path}") as client:
            own = Api(Bench(client))
            assert own.get("/health") == {"status": "healthy", "database": "connected"}
            job_id = own.make_job("completed")
            assert own.get(f"/jobs/{job_id}")["status"] == "completed"
    finally:
        real_client.acl_deluser("quiet")


def read_only(client: redis.Redis) -> None:
    client.slaveof("127.0.0.1", 1)


def without_replicas(client: redis.Redis) -> None:
    client.config_set("min-replicas-to-write", 1)


@pytest.mark.parametrize("refuse_writes", [read_only, without_replicas])
@pytest.mark.parametrize(("path", "body"), [("/jobs", JOB), ("/jobs/claim", HOLDER)])
def test_a_redis_that_refuses_writes_counts_as_unavailable(
    real_client: redis.Redis, refuse_writes: Callable[[redis.Redis], None], path: str, body: Any
) -> None:
    own = Api(Bench(real_client))  # it takes Redis for away for a while
    refuse_writes(real_client)
    try:
        response = own.call("POST", path, body)
    finally:
        real_client.slaveof()
        real_client.config_set("min-replicas-to-write", 0)
    assert response.status_code == 503
    assert response.get_json()["context"]["code"] == "store_unavailable"
    assert int(response.headers["Retry-After"]) >= 1


@pytest.fixture(params=[b"\x15\x03\x01\x00\x02\x02\x0a", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["TLS", "HTTP"])
def nonsense_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port with a server that does not speak the protocol of Redis."""

    class Nonsense(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1000)
            self.request.sendall(request.param)

    with socketserver.TCPServer(("127.0.0.1", 0), Nonsense) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_a_server_that_does_not_speak_redis_counts_as_unavailable(nonsense_port: int) -> None:
    with connect(f"redis://127.0.0.1:{nonsense_port}") as client:
        api = Api(Bench(client))
        answers = [api.call("GET", path) for path in ("/health", "/jobs", "/metrics")]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].get_json() == UNHEALTHY

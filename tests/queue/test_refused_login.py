"""A login that Redis refuses, or that may not run what the scripts run: a clear outage, which nothing makes worse."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from structlog.typing import EventDict

from jobqueue.errors import JobQueueError, StoreUnavailable
from jobqueue.queue import health
from jobqueue.queue.connection import connect
from jobqueue.queue.health import Health
from jobqueue.queue.scripts import CALLED, LUA
from jobqueue.queue.transport.logins import TAKES_ONE_KEY
from tests.support.attempts import DONE, start
from tests.support.bench import Bench
from tests.support.consistency import check
from tests.support.logins import without_login
from tests.support.redis_proxy import ScriptedServer
from tests.support.waiting import wait_until

NAME = "tried"


def allow(admin: redis.Redis, *rules: str) -> None:
    admin.execute_command("ACL", "SETUSER", NAME, *rules)  # type: ignore[no-untyped-call]


@pytest.fixture
def tried(real_client: redis.Redis, redis_url: str) -> Iterator[Bench]:
    """A queue whose user may do everything, until a test changes that."""
    allow(real_client, "reset", "on", ">first", "~*", "&*", "+@all")
    with connect(without_login(redis_url).replace("://", f"://{NAME}:first@")) as client:
        yield Bench(client)
    real_client.acl_deluser(NAME)


def anew(bench: Bench) -> None:
    """Have the next call make a new connection."""
    bench.client.connection_pool.disconnect()


def works(bench: Bench) -> bool:
    try:
        bench.submit()
    except JobQueueError:
        return False
    return True


def reasons(logged: list[EventDict]) -> list[str]:
    return [event["reason"] for event in logged if event["event"] == "redis_away"]


def test_a_wrong_password_is_an_outage_with_advice_that_ends_when_it_is_mended(
    tried: Bench, real_client: redis.Redis, logged: list[EventDict]
) -> None:
    allow(real_client, "resetpass", ">second")
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            tried.submit()
    assert health.check(tried.connection) is Health.UNAUTHORIZED
    [reason] = reasons(logged)
    assert reason.startswith("WRONGPASS ")
    assert "REDIS_PASSWORD" in reason
    allow(real_client, ">first")
    wait_until("it works", lambda: works(tried))
    assert health.check(tried.connection) is Health.CONNECTED
    assert [event["event"] for event in logged if "redis" in event["event"]] == ["redis_away", "redis_back"]


def test_a_password_can_be_replaced_while_jobs_run(tried: Bench, real_client: redis.Redis) -> None:
    attempt = start(tried)
    allow(real_client, ">second")  # both are valid now, until every server has the new one
    anew(tried)
    tried.claims.heartbeat(attempt.job_id, attempt.holder)
    allow(real_client, "<first")  # connections that exist stay logged in
    tried.claims.complete(attempt.job_id, attempt.holder, DONE)


def test_a_refused_login_does_not_end_the_connections_that_exist(tried: Bench, real_client: redis.Redis) -> None:
    tried.submit()
    pool = tried.client.connection_pool
    kept = pool.get_connection()
    allow(real_client, "resetpass")
    with pytest.raises(StoreUnavailable):
        tried.submit()
    pool.release(kept)
    tried.submit()


def test_logins_that_are_refused_are_tried_a_few_times_a_second_whatever_comes_in() -> None:
    server = ScriptedServer(lambda command: "-WRONGPASS invalid username-password pair or user is disabled.")
    with server.running(), connect(server.url.replace("://", "://name:word@")) as client:
        bench = Bench(client)
        for _ in range(200):
            assert not works(bench)
            assert health.check(bench.connection) is Health.UNAUTHORIZED
    assert server.connections < 40


def test_a_server_that_asks_for_a_login_is_asked_a_few_times_a_second(logged: list[EventDict]) -> None:
    server = ScriptedServer(lambda command: "-NOAUTH Authentication required.")
    with server.running(), connect(server.url) as client:
        bench = Bench(client)
        for _ in range(200):
            assert not works(bench)
    assert server.connections < 40
    assert "REDIS_PASSWORD" in reasons(logged)[0]


@pytest.mark.parametrize("lacks", [("-zadd",), ("-hset",), ("-eval",), ("resetkeys", "~other:*"), ("-@write",)])
def test_a_user_who_lacks_a_right_changes_nothing_half_way(
    tried: Bench, real_client: redis.Redis, logged: list[EventDict], lacks: tuple[str, ...]
) -> None:
    [job_id] = tried.submit()
    allow(real_client, *lacks)
    anew(tried)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            tried.submit()
        with pytest.raises(StoreUnavailable):
            tried.claims.claim("executor-1", None)
    assert health.check(tried.connection) is Health.UNAUTHORIZED
    [reason] = reasons(logged)
    assert reason.startswith("NOPERM ")
    assert "docs/redis.acl" in reason
    assert check(real_client) == []
    allow(real_client, "~*", "+@all")
    wait_until("it works", lambda: works(tried))
    assert tried.queries.get(job_id).id == job_id


def test_a_right_that_is_taken_away_meanwhile_is_an_outage_and_not_an_error_of_the_server(
    tried: Bench, real_client: redis.Redis, logged: list[EventDict]
) -> None:
    tried.submit()
    allow(real_client, "-hmget")
    attempts = [works(tried), works(tried)]
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            tried.claims.claim("executor-1", None)
    assert attempts == [True, True]
    assert "hmget" in reasons(logged)[0]


def test_every_command_that_scripts_call_on_a_key_is_asked_about() -> None:
    called = {command for path in LUA.rglob("*.lua") for command in CALLED.findall(path.read_text())}
    assert called - TAKES_ONE_KEY == {"TIME"}

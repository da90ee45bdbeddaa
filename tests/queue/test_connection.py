"""`queue/connection.py`: nothing is sent twice, nothing waits for long, and every outage is logged once."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from structlog.typing import EventDict

import jobqueue.queue.connection
from jobqueue.errors import StoreUnavailable
from jobqueue.queue.connection import PAUSE_SECONDS, Connection, connect
from jobqueue.queue.scripts import ROOT
from jobqueue.queue.transport import pool
from jobqueue.queue.transport.limits import limited
from tests.support.attempts import claim
from tests.support.bench import Bench
from tests.support.clock import HandClock
from tests.support.consistency import check
from tests.support.logins import administrator, without_login
from tests.support.redis_proxy import Proxy, ScriptedServer
from tests.support.redis_server import running_redis
from tests.support.waiting import wait_until

LONGEST_SECONDS = 5.0


@contextmanager
def connection_to(url: str, monotonic: HandClock | None = None) -> Iterator[Connection]:
    with connect(url) as client:
        yield Connection(client, monotonic or HandClock())


def events(logged: list[EventDict]) -> list[str]:
    return [event["event"] for event in logged if event["event"].startswith("redis_")]


def test_a_script_whose_answer_got_lost_ran_once_and_is_not_sent_again(proxy: Proxy, real_client: redis.Redis) -> None:
    with connect(proxy.url) as client:
        bench = Bench(client)
        bench.submit()
        proxy.cut_answers = True
        with pytest.raises(StoreUnavailable):
            bench.submit()
        assert real_client.get(f"{ROOT}:sequence") == "2"
    assert check(real_client) == []


def test_a_claim_whose_answer_got_lost_took_one_job(proxy: Proxy, real_client: redis.Redis) -> None:
    with connect(proxy.url) as client:
        bench = Bench(client)
        bench.submit(3)
        claim(bench)
        proxy.cut_answers = True
        with pytest.raises(StoreUnavailable):
            bench.claims.claim("executor-1", None)
    assert real_client.zcard(f"{ROOT}:deadlines") == 2


def test_a_connection_that_ended_while_idle_costs_no_call(real_bench: Bench, redis_url: str) -> None:
    real_bench.submit()
    with administrator(redis_url) as other:
        assert other.client_kill_filter(_type="normal", skipme=True) >= 1
    assert len(real_bench.submit()) == 1


def test_a_call_that_comes_too_late_to_be_answered_is_no_outage(logged: list[EventDict]) -> None:
    in_time = threading.Event()
    in_time.set()

    def answer(command: str) -> str:
        in_time.wait()
        return "+PONG" if command == "PING" else "+OK"

    server = ScriptedServer(answer)
    with server.running(), connection_to(server.url) as connection:
        connection.ping()
        in_time.clear()
        with limited(0.01), pytest.raises(StoreUnavailable):
            connection.ping()
        in_time.set()
        connection.ping()
    assert events(logged) == []


def test_a_refused_connection_is_an_outage_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there, and no other process can
        with connection_to(f"redis://127.0.0.1:{taken.getsockname()[1]}/0") as connection:
            started = time.monotonic()
            with pytest.raises(StoreUnavailable):
                connection.ping()
            assert time.monotonic() - started < pool.ANSWER_SECONDS


def test_a_socket_that_is_not_there_is_an_outage(tmp_path: Path) -> None:
    with connection_to(f"unix://{tmp_path}/none.sock") as connection, pytest.raises(StoreUnavailable):
        connection.ping()


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let silence be noticed sooner. `test_limits.py` has the true limits."""
    monkeypatch.setattr(pool, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(jobqueue.queue.connection, "PING_SECONDS", 0.2)


@pytest.mark.usefixtures("short_limits")
def test_a_server_that_never_answers_delays_one_caller_and_no_other() -> None:
    monotonic = HandClock()
    silent_server = ScriptedServer(lambda command: None)
    with silent_server.running(), connection_to(silent_server.url, monotonic) as connection:
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            connection.ping()
        waited = time.monotonic() - started
        assert 0.3 <= waited < LONGEST_SECONDS
        received = len(silent_server.received)
        for _ in range(100):
            with pytest.raises(StoreUnavailable):
                connection.ping()
        monotonic.now += PAUSE_SECONDS - 0.01
        with pytest.raises(StoreUnavailable):
            connection.ping()
        assert len(silent_server.received) == received


def test_after_the_pause_the_next_call_goes_through(proxy: Proxy, logged: list[EventDict]) -> None:
    monotonic = HandClock()
    with connection_to(proxy.url, monotonic) as connection:
        connection.ping()
        proxy.away = True
        with pytest.raises(StoreUnavailable):
            connection.ping()
        proxy.away = False
        with pytest.raises(StoreUnavailable):
            connection.ping()
        monotonic.now += PAUSE_SECONDS
        connection.ping()
        connection.ping()
    assert events(logged) == ["redis_away", "redis_back"]


def test_an_outage_is_logged_once_however_many_notice(proxy: Proxy, logged: list[EventDict]) -> None:
    monotonic = HandClock()
    proxy.away = True
    with connection_to(proxy.url, monotonic) as connection:
        for _ in range(5):
            with pytest.raises(StoreUnavailable):
                connection.ping()
            monotonic.now += PAUSE_SECONDS
    assert events(logged) == ["redis_away"]


def test_one_of_many_callers_tries_again_while_the_others_are_refused_at_once() -> None:
    monotonic, recovered = HandClock(), threading.Event()
    server = ScriptedServer(lambda command: "+PONG" if recovered.wait() else None)
    with server.running(), connection_to(server.url, monotonic) as connection:
        connection.note_outage(redis.ConnectionError("it was away"))
        monotonic.now += PAUSE_SECONDS
        one = threading.Thread(target=connection.ping)
        one.start()
        wait_until("one caller tries again", lambda: len(server.received) > 0)
        with pytest.raises(StoreUnavailable):
            connection.ping()
        recovered.set()
        one.join()
        connection.ping()


@pytest.mark.usefixtures("short_limits")
def test_one_connection_that_goes_silent_costs_its_caller_an_answer_and_nobody_else(
    proxy: Proxy, logged: list[EventDict]
) -> None:
    with connect(proxy.url) as client:
        bench = Bench(client)
        bench.submit()
        proxy.silence()  # the connection was used a moment ago, so nobody suspects it
        with pytest.raises(StoreUnavailable):
            bench.submit()
        assert len(bench.submit()) == 1
    assert events(logged) == []


def test_a_query_whose_connection_ends_is_asked_again(proxy: Proxy) -> None:
    with connect(proxy.url) as client:
        bench = Bench(client)
        [job_id] = bench.submit()
        proxy.answers_to_cut = 1
        assert bench.queries.get(job_id).id == job_id


def pings(connection: Connection) -> bool:
    try:
        connection.ping()
    except StoreUnavailable:
        return False
    return True


def test_a_server_that_takes_no_more_clients_is_no_outage_for_those_it_has(
    tmp_path: Path, logged: list[EventDict]
) -> None:
    with running_redis(tmp_path) as url, administrator(url) as admin, connection_to(url) as connection:
        connection.ping()
        with connect(url) as second:
            admin.config_set("maxclients", 1)
            with pytest.raises(StoreUnavailable):
                Connection(second).ping()
        assert events(logged) == ["redis_away"]  # to the one that never had a connection
        connection.ping()
    assert len(events(logged)) == 1


def test_a_login_that_is_refused_is_logged_once_and_its_end_too(tmp_path: Path, logged: list[EventDict]) -> None:
    with running_redis(tmp_path) as url, administrator(url) as admin:
        admin.acl_setuser("api", enabled=True, passwords=["+new"], keys=["*"], categories=["+@all"])
        with connect(without_login(url).replace("unix://", "unix://api:old@")) as client:
            connection = Connection(client)
            for _ in range(3):
                with pytest.raises(StoreUnavailable):
                    connection.ping()
            admin.acl_setuser("api", enabled=True, passwords=["+old"])
            wait_until("it logs in", lambda: pings(connection))
    assert events(logged) == ["redis_away", "redis_back"]
    assert "invalid username-password" in logged[0]["reason"]

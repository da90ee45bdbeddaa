"""The errors that Redis answers, and what `queue/connection.py` makes of them: an outage, a full store, or neither."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from structlog.typing import EventDict

from jobqueue.errors import StoreFull, StoreUnavailable
from jobqueue.queue.connection import Connection, connect
from jobqueue.queue.transport import pool
from jobqueue.queue.transport.address import check_url
from jobqueue.queue.transport.exchange import ask
from tests.support.bench import Bench
from tests.support.logins import administrator
from tests.support.redis_proxy import ScriptedServer
from tests.support.redis_server import running_redis
from tests.support.waiting import wait_until


@contextmanager
def answering(line: str) -> Iterator[Connection]:
    """A connection to a server that answers PING with this line, and all other commands with OK."""
    server = ScriptedServer(lambda command: line if command == "PING" else "+OK")
    with server.running(), connect(server.url) as client:
        yield Connection(client, monotonic=lambda: 0.0)


def outages(logged: list[EventDict]) -> list[str]:
    return [event["event"] for event in logged if event["event"].startswith("redis_")]


@pytest.mark.parametrize(
    "line",
    [
        "READONLY You can't write against a read only replica.",
        "LOADING Redis is loading the dataset in memory",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
        "NOREPLICAS Not enough good replicas to write.",
        "CLUSTERDOWN The cluster is down",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "NOAUTH Authentication required.",
        "ERR DB index is out of range",
        "WRONGPASS invalid username-password pair or user is disabled.",
        "NOPERM User default has no permissions to run the 'evalsha' command",
        "MOVED 3999 127.0.0.1:6381",
        "ASK 3999 127.0.0.1:6381",
        "REDIRECT 127.0.0.1:6381",
        "DENIED Redis is running in protected mode",
        "UNKILLABLE Sorry the script already executed write commands against the dataset.",
        "ERR max number of clients reached",
        "ERR invalid DB index",
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your "
        "configuration is correct?",
        "ERR Script killed by user with SCRIPT KILL. script: 0a, on @user_script:1.",
        "ERR no upstream host",
        "upstream failure",
    ],
)
def test_a_server_that_cannot_serve_now_is_an_outage(line: str) -> None:
    with answering(f"-{line}") as connection, pytest.raises(StoreUnavailable):
        connection.ping()


def test_a_server_without_memory_is_full_and_not_away(logged: list[EventDict]) -> None:
    with answering("-OOM command not allowed when used memory > 'maxmemory'.") as connection:
        for _ in range(2):
            with pytest.raises(StoreFull):
                connection.ping()
    assert outages(logged) == []


@pytest.mark.parametrize("line", ["READONLY You can't write", "LOADING It is loading", "MASTERDOWN Link is down"])
def test_a_call_that_another_server_should_answer_is_made_once_more(line: str) -> None:
    answers = iter([f"-{line}"])
    server = ScriptedServer(lambda command: next(answers, "+PONG"))
    with server.running(), connect(server.url) as client:
        Connection(client).ping()
    assert (server.received, server.connections) == (["PING", "PING"], 2)


@pytest.mark.parametrize("command", [redis.Redis.ping, lambda client: ask(client, ("PING",))])
@pytest.mark.parametrize("line", ["READONLY You can't write", "MASTERDOWN Link is down", "MOVED 3999 127.0.0.1:6381"])
def test_a_connection_to_the_wrong_server_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch, line: str, command: Callable[[redis.Redis], object]
) -> None:
    """Even if all connections were given up a moment before, and this one was made since."""
    monkeypatch.setattr(pool, "RENEWAL_SECONDS", math.inf)
    answers = iter([f"-{line}"])
    server = ScriptedServer(lambda _: next(answers, "+PONG"))
    with server.running(), connect(server.url) as client:
        with pytest.raises(redis.ResponseError):
            command(client)
        command(client)
    assert server.connections == 2


def test_one_answer_of_a_replica_ends_the_other_connections_unasked() -> None:
    server = ScriptedServer(lambda _: "-READONLY I am" if server.connections == 2 else "+PONG")
    with server.running(), connect(server.url) as client:
        connection, connections = Connection(client), client.connection_pool
        for each in [connections.get_connection() for _ in range(2)]:
            connections.release(each)
        connection.ping()
        used = connections.get_connection()
        connection.ping()
        connections.release(used)
    assert (server.received, server.connections) == (["PING"] * 3, 4)


@pytest.mark.parametrize("line", ["NOREPLICAS Not enough", "BUSY It runs a script", "ERR What?"])
def test_any_other_call_is_made_once(line: str) -> None:
    with answering(f"-{line}") as connection, pytest.raises((StoreUnavailable, redis.ResponseError)):
        connection.ping()


def test_any_other_error_is_raised_unchanged_and_is_no_outage(logged: list[EventDict]) -> None:
    with answering("-ERR unknown command") as connection:
        for _ in range(2):
            with pytest.raises(redis.ResponseError):
                connection.ping()
    assert outages(logged) == []


def test_a_server_that_speaks_another_protocol_is_an_outage() -> None:
    with answering("HTTP/1.1 400 Bad Request") as connection, pytest.raises(StoreUnavailable):
        connection.ping()


@pytest.mark.parametrize(
    "url", ["redis://host", "redis://user:secret@host:1/2", "rediss://host:6380/0", "unix:///redis.sock?db=1"]
)
def test_a_url_is_checked_without_connecting(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize("url", ["http://host", "redis://host:port", "redis://host?no_such_option=1"])
def test_a_url_that_redis_py_refuses_is_a_value_error(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_url(url)


def test_a_replica_is_an_outage(tmp_path: Path) -> None:
    replica = running_redis(tmp_path, "--replicaof", "127.0.0.1 1")
    with replica as url, connect(url) as client, pytest.raises(StoreUnavailable):
        Bench(client).submit()


def test_a_server_busy_with_an_endless_script_is_an_outage(tmp_path: Path) -> None:
    with running_redis(tmp_path, "--busy-reply-threshold", "10") as url, administrator(url) as busy:
        endless = threading.Thread(target=_run_until_killed, args=(busy,))
        endless.start()
        with connect(url) as client:
            wait_until("the server says that it is busy", lambda: _is_away(Connection(client)))
        with administrator(url) as killer:
            killer.script_kill()
        endless.join()


def _run_until_killed(client: redis.Redis) -> None:
    with pytest.raises(redis.ResponseError):
        client.eval("while true do end", 0)


def _is_away(connection: Connection) -> bool:
    try:
        connection.ping()
    except StoreUnavailable:
        return True
    return False

"""Connections that died while they were idle: they are found before they are used, and cost nobody an answer."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from jobqueue.queue.connection import connect
from jobqueue.queue.transport import pool
from tests.support.bench import Bench
from tests.support.redis_proxy import Proxy
from tests.support.serving import at_once
from tests.support.waiting import wait_until


@pytest.fixture
def bench(proxy: Proxy) -> Bench:
    """A queue behind a proxy, with several idle connections."""
    bench = Bench(connect(proxy.url))
    pool = bench.client.connection_pool
    for connection in [pool.get_connection() for _ in range(6)]:
        pool.release(connection)
    assert proxy.connections > 1
    return bench


def test_connections_that_went_silent_are_replaced(bench: Bench, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "VERIFY_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(pool, "PING_SECONDS", 0.1)
    proxy.silence()
    assert all(at_once([bench.submit] * 6))
    assert bench.submit()


def test_a_silent_connection_lets_all_idle_ones_be_replaced_unasked(
    bench: Bench, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "VERIFY_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(pool, "PING_SECONDS", 0.3)
    proxy.silence()
    bench.submit()
    monkeypatch.setattr(pool, "PING_SECONDS", 60.0)
    started = time.monotonic()
    assert all(at_once([bench.submit] * 6))
    assert time.monotonic() - started < pool.ANSWER_SECONDS


def test_connections_that_were_reset_are_replaced(bench: Bench, proxy: Proxy) -> None:
    proxy.away = True
    wait_until("every connection has ended", lambda: proxy.ended == proxy.connections)
    proxy.away = False
    assert all(at_once([bench.submit] * 6))


def test_a_connection_that_was_idle_for_long_is_replaced_without_a_question(
    bench: Bench, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "VERIFY_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(pool, "REPLACE_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(pool, "PING_SECONDS", 60.0)
    proxy.silence()
    assert bench.submit()


def test_the_system_watches_idle_connections(bench: Bench) -> None:
    connection: Any = bench.client.connection_pool.get_connection()
    opened = connection._sock._socket
    assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 5000
    bench.client.connection_pool.release(connection)

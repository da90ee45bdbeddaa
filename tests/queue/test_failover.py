"""A failover: the primary becomes a replica and lives on, and another server is the primary from now on."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobqueue.queue import health
from jobqueue.queue.connection import connect
from jobqueue.queue.health import Health
from tests.support.bench import Bench
from tests.support.logins import administrator, connect_as_administrator
from tests.support.redis_proxy import Proxy
from tests.support.redis_server import running_redis
from tests.support.serving import at_once

NAME = "redis.test"


@pytest.fixture
def primaries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Two servers that take writes."""
    folders = [tmp_path_factory.mktemp("redis") for _ in range(2)]
    with running_redis(folders[0]) as old, running_redis(folders[1]) as new:
        yield old, new


def demote(url: str) -> None:
    """Make a server a replica. It keeps its clients."""
    with administrator(url) as client:
        client.slaveof("127.0.0.1", 1)


def use_several_connections(bench: Bench) -> None:
    at_once([bench.submit] * 6)


def test_writes_go_on_when_another_server_answers_at_the_address(primaries: tuple[str, str]) -> None:
    old, new = primaries
    proxy = Proxy(old)
    with proxy.running(), connect(proxy.url) as client:
        bench = Bench(client)
        use_several_connections(bench)
        demote(old)
        assert health.check(bench.connection) is Health.READ_ONLY
        proxy.lead_to(new)
        for _ in range(8):
            assert len(bench.submit()) == 1
        assert health.check(bench.connection) is Health.CONNECTED
    with administrator(new) as client:
        assert client.get("{jobqueue}:sequence") == "8"


def test_writes_go_on_when_the_name_gets_another_address(
    primaries: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = primaries
    before = Proxy(old)
    after = Proxy(new, "127.0.0.2", before.server_address[1])
    addresses = {NAME: "127.0.0.1"}
    resolve = socket.getaddrinfo

    def resolved(host: str, *arguments: Any, **options: Any) -> Any:
        return resolve(addresses.get(host, host), *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    with before.running(), after.running(), connect(before.url.replace("127.0.0.1", NAME)) as client:
        bench = Bench(client)
        use_several_connections(bench)
        demote(old)
        addresses[NAME] = "127.0.0.2"
        for _ in range(8):
            assert len(bench.submit()) == 1


def test_a_replica_that_becomes_a_primary_again_is_healthy_at_once(tmp_path: Path) -> None:
    with running_redis(tmp_path) as url, connect_as_administrator(url) as client:
        bench = Bench(client)
        bench.submit()
        demote(url)
        assert health.check(bench.connection) is Health.READ_ONLY
        client.slaveof()
        assert health.check(bench.connection) is Health.CONNECTED
        assert len(bench.submit()) == 1

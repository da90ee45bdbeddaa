"""What is logged about a Redis whose version has a known flaw, or that may evict jobs."""

from __future__ import annotations

import pytest
import redis
from structlog.typing import EventDict

from jobqueue.queue import server_check
from jobqueue.queue.connection import Connection, connect
from jobqueue.queue.server_check import Server


@pytest.mark.parametrize(
    ("name", "version", "safe"),
    [
        ("redis", "6.0.20", "6.2.20"),
        ("redis", "6.2.19", "6.2.20"),
        ("redis", "6.2.20", None),
        ("redis", "7.0.15", "7.2.11"),
        ("redis", "7.2.4", "7.2.11"),
        ("redis", "7.4.6", None),
        ("redis", "8.0.3", "8.0.4"),
        ("redis", "8.2.1", "8.2.2"),
        ("redis", "8.2.10", None),
        ("redis", "8.4.0", None),
        ("redis", "10.0.0", None),
        ("valkey", "7.2.10", "7.2.11"),
        ("valkey", "8.0.6", None),
        ("valkey", "8.1.3", "8.1.4"),
        ("valkey", "9.1.2", None),
        ("redis", "", None),
        ("redis", "255.255.255", None),
        ("redis", "managed", None),
    ],
)
def test_the_version_to_upgrade_to_is_named_if_there_is_a_flaw(name: str, version: str, safe: str | None) -> None:
    assert Server(name, version, "noeviction").first_safe_version == safe


def test_a_server_is_known_by_what_it_says_with_the_rights_of_the_servers_login(redis_url: str) -> None:
    with connect(redis_url) as client, connect(redis_url) as another:
        server = Server.ask(Connection(client))
        facts = another.info("server")
    assert server.eviction_policy == "noeviction"
    assert server.version == facts.get("valkey_version", facts["redis_version"])


def test_an_unsafe_version_is_logged_with_what_to_do(
    real_client: redis.Redis, logged: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {"redis_version": "7.2.4", "valkey_version": "8.1.3", "maxmemory_policy": "noeviction"}
    monkeypatch.setattr(Connection, "information", lambda *_: facts)
    server_check.check(Connection(real_client))
    [warning] = logged
    assert (warning["event"], warning["log_level"]) == ("redis_version_unsafe", "warning")
    assert (warning["version"], warning["fixed_in"]) == ("valkey 8.1.3", "8.1.4")

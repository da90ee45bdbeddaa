"""What is said about a Redis that works but is not safe: it may evict jobs, or has a known fault in its Lua."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from jobqueue import logs
from jobqueue.queue.connection import Connection

Version = tuple[int, int, int]

FLAW = "CVE-2025-49844"
"""A script can make the server run any machine code: whoever has a login that may run scripts owns the server."""

FIRST_SAFE: dict[str, list[Version]] = {
    "redis": [(6, 2, 20), (7, 2, 11), (7, 4, 6), (8, 0, 4), (8, 2, 2)],
    "valkey": [(7, 2, 11), (8, 0, 6), (8, 1, 4), (9, 0, 0)],
}
"""The first version of each series in which it is fixed. Series in between were never fixed by their makers."""


@dataclass(frozen=True)
class Server:
    """What a server says about itself: `name` is redis or valkey."""

    name: str
    version: str
    eviction_policy: str

    @classmethod
    def ask(cls, connection: Connection) -> Server:
        """Ask a server. Raises JobQueueError or redis.RedisError, also if the login may not ask."""
        facts: Mapping[str, object] = {**connection.information("server"), **connection.information("memory")}
        valkey = facts.get("valkey_version")
        version = str(valkey or facts.get("redis_version", ""))
        return cls("valkey" if valkey else "redis", version, str(facts.get("maxmemory_policy", "noeviction")))

    @property
    def first_safe_version(self) -> str | None:
        """The version to upgrade to, None if this one is not known to have the flaw."""
        numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", self.version)
        if not numbers:
            return None
        version: Version = (int(numbers[1]), int(numbers[2]), int(numbers[3]))
        series = FIRST_SAFE[self.name]
        safe = next((each for each in series if each[:2] == version[:2]), None)
        if safe is None:  # a series that was never fixed, or that began after the flaw was found
            safe = next((each for each in series if each > version), version)
        return ".".join(map(str, safe)) if version < safe else None


def check(connection: Connection) -> None:
    """Log what is wrong with a server, at the start and after each outage."""
    try:
        server = Server.ask(connection)
    except Exception as error:  # noqa: BLE001  # managed Redis often forbids INFO; that must not stop the sweeps
        logs.logger().warning("eviction_policy_unknown", reason=str(error))
        return
    if server.eviction_policy != "noeviction":
        logs.logger().error("eviction_policy_unsafe", maxmemory_policy=server.eviction_policy, needed="noeviction")
    if safe := server.first_safe_version:
        logs.logger().warning(
            "redis_version_unsafe", version=f"{server.name} {server.version}", flaw=FLAW, fixed_in=safe
        )

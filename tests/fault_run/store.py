"""A Redis-compatible primary and its replica, behind a relay."""

from __future__ import annotations

from pathlib import Path

import redis

from tests.fault_run.relay import Relays
from tests.support.logins import with_login
from tests.support.restartable_redis import RestartableRedis
from tests.support.waiting import wait_until


class Node(RestartableRedis):
    """One of the two servers."""

    def client(self) -> redis.Redis:
        """Return a client that goes to this server itself, not through the relay."""
        return redis.Redis(port=self.port, decode_responses=True, socket_timeout=5)


class Store:
    """A primary and its replica. Clients reach the primary through `relay`."""

    def __init__(self, folder: Path, relays: Relays) -> None:
        self.primary, self.replica = Node(folder / "redis-a"), Node(folder / "redis-b")
        for node in (self.primary, self.replica):
            node.folder.mkdir()
        self.primary.start()
        self.replica.start("--replicaof", f"127.0.0.1 {self.primary.port}")
        self.relay = relays.open(self.primary.port)

    @property
    def url(self) -> str:
        """The URL for the setting REDIS_URL."""
        return with_login(f"redis://127.0.0.1:{self.relay.port}/0")

    def fail_over(self) -> None:
        """Promote the replica once it has everything. The old primary lives on as its replica, with its connections."""
        old, new = self.primary, self.replica
        with old.client() as before, new.client() as after:
            wait_until("the replica follows", lambda: after.info("replication").get("master_link_status") == "up")
            before.client_pause(10_000, all=False)
            goal = before.info("replication")["master_repl_offset"]
            wait_until("the replica has everything", lambda: after.info("replication")["slave_repl_offset"] >= goal)
            after.replicaof("NO", "ONE")
            self.relay.set_target(new.port)
            before.replicaof("127.0.0.1", new.port)
            before.client_unpause()
        self.primary, self.replica = new, old

    def close(self) -> None:
        """End both servers."""
        self.primary.kill()
        self.replica.kill()

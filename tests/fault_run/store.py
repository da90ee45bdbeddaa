"""A Redis-compatible primary and its replica, behind a relay."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import redis

from jobqueue.local import redis_server
from jobqueue.local.run import free_port
from tests.fault_run.relay import Relays
from tests.support.waiting import wait_until


@dataclass
class Node:
    """One server, with an append-only file that it writes before it answers."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self, primary: Node | None = None) -> None:
        """Start it with what is on disk, as the replica of `primary` if there is one."""
        self.folder.mkdir(exist_ok=True)
        options = [
            "--port",
            str(self.port),
            "--dir",
            str(self.folder),
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
        ]
        if primary is not None:
            options += ["--replicaof", f"127.0.0.1 {primary.port}"]
        self.process = subprocess.Popen(redis_server.command(*options), stdout=subprocess.DEVNULL)
        wait_until("Redis answers", self._is_ready)

    def client(self) -> redis.Redis:
        """Return a client that goes to this server itself, not through the relay."""
        return redis.Redis(port=self.port, decode_responses=True, socket_timeout=5)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _is_ready(self) -> bool:
        with self.client() as client:
            try:
                return bool(client.ping())
            except redis.RedisError:  # not listening yet, or loading
                return False


class Store:
    """A primary and its replica. Clients reach the primary through `relay`."""

    def __init__(self, folder: Path, relays: Relays) -> None:
        self.primary, self.replica = Node(folder / "redis-a"), Node(folder / "redis-b")
        self.primary.start()
        self.replica.start(self.primary)
        self.relay = relays.open(self.primary.port)

    @property
    def url(self) -> str:
        """The URL for the setting REDIS_URL."""
        return f"redis://127.0.0.1:{self.relay.port}/0"

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

"""An embedded Redis-compatible server, started as `make run` starts it. Each queue has one to itself."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import redis

from benchmarks.rig.children import running, wait_until
from jobqueue.local import variables
from jobqueue.local.run import free_port

SCRIPT_COMMANDS = ("cmdstat_evalsha", "cmdstat_eval", "cmdstat_evalsha_ro", "cmdstat_eval_ro", "cmdstat_fcall")
DURABILITY = "append-only file, fsync every second"


@dataclass(frozen=True)
class Store:
    """A running server."""

    url: str
    pid: int
    client: redis.Redis

    def version(self) -> str:
        """Return its name and version."""
        info = self.client.info("server")
        return f"{info.get('server_name', 'redis')} {info.get('valkey_version', info['redis_version'])}"

    def used_bytes(self) -> int:
        """Return how much memory its data takes."""
        return int(self.client.info("memory")["used_memory"])

    def script_calls(self) -> tuple[int, int]:
        """Return how many scripts it has run, and the microseconds that they took."""
        stats = self.client.info("commandstats")
        each = [stats[name] for name in SCRIPT_COMMANDS if name in stats]
        return sum(int(one["calls"]) for one in each), sum(int(one["usec"]) for one in each)


@contextmanager
def running_store(folder: Path, name: str = "store") -> Iterator[Store]:
    """Start a server with an append-only file in `folder`."""
    port, password = free_port(), secrets.token_hex(16)
    command = [sys.executable, "-m", "jobqueue.local.redis_server", str(port), str(folder / name)]
    environment = variables.of_redis(os.environ)
    with running(command, environment, folder / f"{name}.log", stdin=f"{password}\n".encode()) as process:
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        with redis.Redis.from_url(url, decode_responses=True) as client:
            wait_until("Redis answers", lambda: _answers(client))
            yield Store(url, process.pid, client)


def _answers(client: redis.Redis) -> bool:
    with suppress(redis.RedisError):
        return bool(client.ping())
    return False

"""Starts and stops real Redis servers, each reached by a Unix socket of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from jobqueue.local import redis_server
from tests.support.logins import administrator, with_login, write_acl
from tests.support.waiting import wait_until


@contextmanager
def running_redis(folder: Path, *options: str) -> Iterator[str]:
    """A real server with its files in `folder`, reached by a socket there; yields its URL with the server's login."""
    path = folder / "redis.sock"
    users = ("--aclfile", str(write_acl(folder)))
    command = redis_server.command("--port", "0", "--unixsocket", str(path), "--dir", str(folder), *users, *options)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            url = with_login(f"unix://{path}")
            wait_until("Redis answers", lambda: answers(url))
            yield url
        finally:
            process.kill()


def answers(url: str) -> bool:
    """Whether a Redis server answers there."""
    with administrator(url) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False

"""Starts and stops the real servers that tests talk to, by process id, on free ports of loopback."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from jobqueue.local import redis_server

PATIENCE_SECONDS = 20.0


def wait_until(what: str, condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Return as soon as `condition` holds; fail saying `what` was waited for when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.005)  # what is awaited happens in another process: there is no event to wait for


@contextmanager
def running_redis(folder: Path, *options: str) -> Iterator[str]:
    """A real server with its files in `folder`, reached by a socket there; yields its URL."""
    path = folder / "redis.sock"
    command = redis_server.command("--port", "0", "--unixsocket", str(path), "--dir", str(folder), *options)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            url = f"unix://{path}"
            wait_until("Redis answers", lambda: answers(url))
            yield url
        finally:
            process.kill()


def answers(url: str) -> bool:
    """Whether a Redis server answers there."""
    with redis.Redis.from_url(url) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False

"""The API under the real gunicorn, and a Redis that can be paused, killed and started again; all on loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import requests

from jobqueue.local import redis_server
from tests.support.ports import free_port
from tests.support.redis_server import answers
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
PREFIX = "/api/v1"
T = TypeVar("T")


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """Return the environment of a server: ours without what would set it up, and these variables."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL") if name in os.environ}
    return {**kept, "TMPDIR": str(folder), "WEB_CONCURRENCY": "2", **variables}


def gunicorn(port: int, *options: str) -> list[str]:
    """Return how the server is started, on loopback alone."""
    return [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", *options, "app:app"]


@dataclass(frozen=True)
class Server:
    """The API as gunicorn serves it."""

    port: int
    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def root(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What it has logged."""
        return self.log_file.read_text()

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        """Send a request on a connection of its own, with `body` as JSON."""
        with requests.Session() as session:
            session.trust_env = False
            return session.request(method, self.root + PREFIX + path, json=body, timeout=15, **more)

    def is_up(self) -> bool:
        """Whether it answers at all."""
        try:
            return self.call("GET", "/health").status_code in {200, 503}
        except requests.ConnectionError:
            return False

    def is_healthy(self) -> bool:
        """Whether it says it is healthy."""
        return self.call("GET", "/health").status_code == 200

    def send(self, request: bytes) -> bytes:
        """Send these bytes, and return all that comes back until the connection is closed."""
        answer = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=15) as connection:
            with suppress(BrokenPipeError, ConnectionResetError):  # it may refuse a request unread
                connection.sendall(request)
            with suppress(ConnectionResetError):
                while received := connection.recv(65536):
                    answer += received
        return answer


@contextmanager
def running_api(folder: Path, **variables: str) -> Iterator[Server]:
    """The API under gunicorn with two processes, logging to a file in `folder`."""
    port = free_port()
    log_file = folder / "gunicorn.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            gunicorn(port),
            cwd=ROOT,
            env=environment(folder, PORT=str(port), **variables),
            stdout=log,
            stderr=log,
            start_new_session=True,  # a group of its own, so that none of its processes can outlive the test
        )
    server = Server(port, process, log_file)
    try:
        wait_until("gunicorn answers", lambda: process.poll() is not None or server.is_up())
        assert process.poll() is None, server.log
        yield server
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a server to stop, kill what is left of its group, and wait for it."""
    try:
        process.terminate()
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@dataclass
class Redis:
    """A server of the test's own, with every change on disk, that can be paused, killed and started again."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it with what is on disk; returns when it answers."""
        options = (
            "--port",
            str(self.port),
            "--dir",
            str(self.folder),
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
        )
        self.process = subprocess.Popen(redis_server.command(*options), stdout=subprocess.DEVNULL)
        wait_until("Redis answers", lambda: answers(self.url))

    def pause(self) -> None:
        """Let it accept connections and say nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without warning."""
        if self.process is not None:
            self._signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)


@contextmanager
def restartable_redis(folder: Path) -> Iterator[Redis]:
    """A Redis that is not started yet."""
    server = Redis(folder)
    try:
        yield server
    finally:
        server.kill()


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Make all calls at the same time, each in a thread; return their results in order."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]

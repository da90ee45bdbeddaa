"""The API under the real gunicorn, on a port of its own; it can be killed and started again."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import requests

from jobqueue.local.run import free_port
from tests.support.paths import PATH, ROOT
from tests.support.processes import children
from tests.support.redis_server import running_redis
from tests.support.service import Service
from tests.support.waiting import wait_until

PREFIX = "/api/v1"
GUNICORN = ("-m", "gunicorn", "app:app")
T = TypeVar("T")


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """Return the whole environment of a server: two processes, temporary files in `folder`, and these variables."""
    return {"PATH": PATH, "TMPDIR": str(folder), "WEB_CONCURRENCY": "2", **variables}


def gunicorn(*options: str) -> list[str]:
    """Return the command that starts the server, as the Procfile does, with these options."""
    return [sys.executable, *GUNICORN, *options]


@dataclass
class Server:
    """The API as gunicorn serves it with two processes, logging to a file in `folder`. It is not started yet.

    `code` is the project's folder, or one with another version of the project. `command` is what Python runs.
    """

    folder: Path
    variables: Mapping[str, str]
    code: Path = ROOT
    port: int = field(default_factory=free_port)
    service: Service | None = None
    command: Sequence[str] = GUNICORN

    @property
    def root(self) -> str:
        """The URL of the server."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The URL for the setting API_URL."""
        return self.root + PREFIX

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that was started: gunicorn's arbiter."""
        assert self.service is not None
        return self.service.process

    @property
    def log(self) -> str:
        """What the server has logged."""
        assert self.service is not None
        return self.service.log.read_text()

    def start(self) -> None:
        """Start the server; returns when it answers."""
        self.launch()
        wait_until("gunicorn answers", lambda: self.process.poll() is not None or self.is_up())
        assert self.process.poll() is None, self.log

    def launch(self) -> None:
        """Start the server and do not wait for it."""
        variables = environment(self.folder, PORT=str(self.port), **self.variables)
        self.service = Service.start([*self.command], self.folder, "api", variables, self.code)

    def kill(self) -> None:
        """Kill all of its processes."""
        if self.service is not None:
            self.service.kill_whole()

    def stop(self) -> None:
        """Ask the server to stop; kill what is left of it after ten seconds."""
        if self.service is not None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            self.kill()

    def processes(self) -> list[int]:
        """Return the process ids of gunicorn's workers, which answer the requests."""
        return children(self.process.pid)

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        """Send a request on a connection of its own, with `body` as JSON."""
        with requests.Session() as session:
            session.trust_env = False
            return session.request(method, self.url + path, json=body, timeout=15, **more)

    def is_up(self) -> bool:
        """Whether the server answers, healthy or not."""
        try:
            return self.call("GET", "/health").status_code in {200, 503}
        except requests.ConnectionError:
            return False

    def is_healthy(self) -> bool:
        """Whether the server answers that it is healthy."""
        return self.call("GET", "/health").status_code == 200

    def send(self, request: bytes) -> bytes:
        """Send these bytes; return all that comes back until the connection is closed."""
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
    """A server that has been started with these variables, and is stopped at the end."""
    with running(Server(folder, variables)) as server:
        yield server


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """A server that is started, and stopped at the end."""
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def standing_api(command: Sequence[str] = GUNICORN, **variables: str) -> Iterator[Server]:
    """A running server, started by this command, with a Redis and a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="jq-") as name:
        folder = Path(name)
        with (
            running_redis(folder) as redis_url,
            running(Server(folder, {"REDIS_URL": redis_url, **variables}, command=command)) as server,
        ):
            yield server


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Make all calls at the same time, each in a thread; return their results in order."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]

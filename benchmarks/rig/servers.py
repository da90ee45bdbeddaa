"""The API under gunicorn with two processes, and a bare route under the same gunicorn."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from benchmarks.clients.requests import Connection
from benchmarks.rig.children import DidNotHappen, running, wait_until
from benchmarks.rig.store import Store
from benchmarks.rig.usage import family
from jobqueue.local import variables
from jobqueue.local.run import free_port

PROCESSES = 2
API = ("jobqueue.web.server",)
CEILING = ("gunicorn", "benchmarks.rig.ceiling:start()")


@dataclass(frozen=True)
class Server:
    """A running server: its port, and the process id of gunicorn's first process."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """The URL for the setting API_URL."""
        return f"http://127.0.0.1:{self.port}/api/v1"

    def workers(self) -> list[int]:
        """Return the process ids of the processes that answer requests."""
        return [pid for pid in family(self.pid) if pid != self.pid]


@contextmanager
def running_server(
    store: Store, folder: Path, module: Sequence[str] = API, settings: dict[str, str] | None = None
) -> Iterator[Server]:
    """Start gunicorn as users do, with its log in a file; yields when both of its processes answer."""
    port = free_port()
    environment = variables.of_web(os.environ, port, store.url)
    environment |= {"BIND": "127.0.0.1", "WEB_CONCURRENCY": str(PROCESSES), "TMPDIR": str(folder), **(settings or {})}
    command = [sys.executable, "-m", *module]
    log = folder / f"{module[-1].partition(':')[0]}.log"
    with running(command, environment, log) as process:
        server = Server(port, process.pid)
        wait_until("the server answers or ends", lambda: process.poll() is not None or _answers(server))
        if process.poll() is not None:
            raise DidNotHappen(f"the server answers: {log.read_text()[-2000:]}")
        yield server


def _answers(server: Server) -> bool:
    """Whether both processes answer, most likely: each connection is served by whichever takes it."""
    with suppress(OSError):
        return len(server.workers()) == PROCESSES and all(_is_healthy(server.port) for _ in range(10 * PROCESSES))
    return False


def _is_healthy(port: int) -> bool:
    with closing(Connection(port)) as connection:
        return connection.get("/health").status == HTTPStatus.OK

"""The whole queue as users run it: store, gunicorn, a host for programs; and when its jobs ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from benchmarks.clients.requests import Connection, submit_all
from benchmarks.rig.children import wait_until
from benchmarks.rig.programs import Host, running_host
from benchmarks.rig.servers import Server, running_server
from benchmarks.rig.store import Store, running_store
from benchmarks.rig.usage import cpu_seconds
from jobqueue.queue.scripts import ROOT

ENDED = f"{ROOT}:ended"
"""The index of the jobs that have ended, by the time of their end."""

JOB_SECONDS = 600.0


class NotCompleted(Exception):
    """Jobs have ended otherwise than as completed, so what was measured means nothing."""


@dataclass(frozen=True)
class Deployment:
    """Everything but the worker, and a connection to the API."""

    folder: Path
    store: Store
    server: Server
    host: Host
    api: Connection

    def queue(self, job: dict[str, Any], count: int) -> None:
        """Empty the queue, then submit a job so many times."""
        self.store.client.flushdb()
        submit_all(self.api, [job] * count)

    def wait_for(self, count: int) -> None:
        """Return as soon as so many jobs have ended since the queue was emptied."""
        wait_until(f"{count} jobs", lambda: int(str(self.store.client.zcard(ENDED))) >= count, JOB_SECONDS)

    def ended_at(self) -> list[float]:
        """Return when each job ended, in seconds. Raises NotCompleted if one has not completed."""
        jobs = self.api.call("GET", "/admin/stats")["jobs_by_status"]
        entries = cast("list[tuple[str, float]]", self.store.client.zrange(ENDED, 0, -1, withscores=True))
        scores = [score / 1000 for _, score in entries]
        if jobs["completed"] != len(scores):
            raise NotCompleted(str(jobs))
        return scores

    def cpu_seconds(self) -> tuple[float, float]:
        """Return what the processes of the server, and Redis, have used so far."""
        return cpu_seconds(self.server.pid), cpu_seconds(self.store.pid)


@contextmanager
def deployed(folder: Path, settings: dict[str, str] | None = None) -> Iterator[Deployment]:
    """Start everything but the worker."""
    with (
        running_store(folder) as store,
        running_server(store, folder, settings=settings) as server,
        running_host() as host,
        closing(Connection(server.port)) as api,
    ):
        yield Deployment(folder, store, server, host, api)

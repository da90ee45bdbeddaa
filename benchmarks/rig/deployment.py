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

COMPLETED, FAILED = f"{ROOT}:jobs:completed:background", f"{ROOT}:jobs:failed:background"
"""The indexes of jobs that have ended. All jobs of the benchmarks have the same priority."""

JOB_SECONDS = 600.0


class NotCompleted(Exception):
    """A job has failed, so what was measured means nothing."""


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
        """Return as soon as so many jobs have completed since the queue was emptied.

        Redis is asked, as that costs least. Raises NotCompleted if a job fails.
        """

        def have_completed() -> bool:
            if self.store.client.zcard(FAILED):
                [failed] = self.api.call("GET", "/jobs?status=failed&limit=1")
                job = self.api.call("GET", f"/jobs/{failed['id']}")
                raise NotCompleted(f"a job has failed: {job['reason']}, {job['error_message']}")
            return int(str(self.store.client.zcard(COMPLETED))) >= count

        wait_until(f"{count} jobs", have_completed, JOB_SECONDS)

    def ended_at(self) -> list[float]:
        """Return when each job completed, in seconds, by the clock of Redis."""
        pipeline = self.store.client.pipeline(transaction=False)
        for job_id in cast("list[str]", self.store.client.zrange(COMPLETED, 0, -1)):
            pipeline.hget(f"{ROOT}:job:{job_id}", "completed_at_ms")
        return [int(text) / 1000 for text in pipeline.execute()]

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

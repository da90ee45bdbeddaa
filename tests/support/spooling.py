"""A spool whose reports are delivered to a fake API, and what tests ask about it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO

from jobqueue.client.batches import Batches
from jobqueue.client.transport import Transport
from jobqueue.worker.reports.delivery import Delivery, TimeLimits
from jobqueue.worker.reports.spool import Spool
from tests.support.fake_server import JOB_ID, FakeServer, in_json

ACCEPTED = in_json({"id": JOB_ID, "status": "completed"})
UNAVAILABLE = in_json({"error": "The database cannot be reached", "context": {}}, 503)
BODY = b'{"exit_code": 0, "stdout": "\xc3\xbc"}'
SHORT_PAUSES = TimeLimits(min_retry_pause=0.01, max_retry_pause=0.01)
IMPATIENT = TimeLimits(closing_try=0.3, min_retry_pause=0.01, max_retry_pause=0.01)


def connect_to(api: FakeServer) -> Batches:
    """Return a connection to the API."""
    return Batches(Transport(api.url), "executor-1")


def in_memory(content: bytes = BODY) -> IO[bytes]:
    """Return a report's body as slots have it: in a file in memory, written to its end."""
    body = open(os.memfd_create("body"), "w+b")  # noqa: SIM115  # the spool closes it
    body.write(content)
    body.flush()
    return body


def on_disk(parent: Path) -> list[bytes]:
    """Return the reports of all spools in a directory."""
    return [path.read_bytes() for path in parent.glob("*/*.json")]


class Answered:
    """Counts how many times a report was answered."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self.times = 0

    def __call__(self) -> None:
        self.times = next(self._numbers)


@dataclass(frozen=True)
class Spooling:
    """A spool and its delivery."""

    spool: Spool
    delivery: Delivery
    parent: Path

    def send(
        self,
        job_id: str = "job-1",
        verb: str = "complete",
        body: IO[bytes] | None = None,
        on_done: Callable[[], None] = lambda: None,
    ) -> None:
        """Write a large report and leave it to the delivery, as a slot does."""
        self.delivery.leave(self.spool.write(job_id, verb, body or in_memory(), on_done))

    def wait_until_sent(self) -> None:
        """Return when no report waits."""
        assert self.delivery.wait_until_sent(20)


@contextmanager
def spooling(parent: Path, api: FakeServer, limits: TimeLimits, close_seconds: float = 0) -> Iterator[Spooling]:
    """A spool in a directory, delivered from the start and closed at the end."""
    spool = Spool(parent, api.url)
    delivery = Delivery(spool, lambda: connect_to(api), limits)
    delivery.start()
    yield Spooling(spool, delivery, parent)
    delivery.close(close_seconds)

"""Keeps a job's lease alive from a thread of its own, and says so when it is lost."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from jobqueue import logs
from jobqueue.client.claims import ClaimedJob, Claims

BEATS_PER_LEASE = 3
SAFE_PART = 0.8
"""Of a lease, counted from when the last good beat was sent. After that another executor may have the job soon, and
two must never run it at once: the lease counts as lost although nobody has said so."""


class Heartbeat:
    """Beats while it is entered. `lost` is set, then `on_lost` called, once the job is no longer ours.

    It has a connection of its own: no download and no report ever stands in its way.
    """

    def __init__(self, claims: Claims, job: ClaimedJob, on_lost: Callable[[], None]) -> None:
        self.lost = threading.Event()
        self._claims = claims
        self._job = job
        self._on_lost = on_lost
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        lease_seconds = self._job.lease_ms / 1000
        interval = pause = lease_seconds / BEATS_PER_LEASE
        safe_until = self._job.asked_at + lease_seconds * SAFE_PART
        while not self._ended.wait(min(pause * random.uniform(0.9, 1.0), max(safe_until - time.monotonic(), 0))):
            sent = time.monotonic()
            held = self._beat(min(interval, safe_until - sent)) if sent < safe_until else False
            if held is False:
                self._lose()
                return
            pause = interval if held else interval / 4
            if held:
                safe_until = sent + lease_seconds * SAFE_PART

    def _beat(self, within_seconds: float) -> bool | None:
        """Return whether the lease is still ours, None when nobody could say."""
        try:
            return self._claims.heartbeat(self._job, within_seconds)
        except Exception as error:  # noqa: BLE001  # whatever it is, the thread must live to say that the lease is lost
            logs.logger().warning("heartbeat_unanswered", job_id=self._job.id, reason=str(error))
            return None

    def _lose(self) -> None:
        logs.logger().warning("lease_lost", job_id=self._job.id)
        self.lost.set()
        self._on_lost()

"""The slots of a worker, each with a thread that makes one attempt after another in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from queue import SimpleQueue

from jobqueue import logs
from jobqueue.client.claimed_job import ClaimedJob
from jobqueue.worker.attempts.attempt import Attempt, Cause, Verdict
from jobqueue.worker.attempts.resources import Resources
from jobqueue.worker.attempts.runner import Runner
from jobqueue.worker.slots.slot import Slot
from jobqueue.worker.vacancies import Vacancies

CLOSE_TIME_LIMIT_SECONDS = 1.0

SLOTS_PER_WAITING_JOB = 4
"""For how many slots one job that waits is enough, while short jobs end one after another: reports may gather then."""

PATIENCE_SECONDS = 0.5
"""How long a job that was claimed ahead waits for a slot before it is released: another worker may have a free one."""


class Pool:
    """All slots with their threads, and the jobs that wait for a slot. Any thread may call its methods.

    The lease of a job is renewed while it waits. It is released when the worker drains, when the host is suspected, or
    when no slot has become free in time.
    """

    def __init__(self, slots: Sequence[Slot], resources: Resources, vacancies: Vacancies) -> None:
        self._slots = slots
        self._resources = resources
        self._vacancies = vacancies
        self._runner = Runner(resources)
        self._queue: SimpleQueue[Attempt | None] = SimpleQueue()
        self._waiting: dict[Attempt, float] = {}
        self._attempts: set[Attempt] = set()
        self._changed = threading.Condition()
        self._drains = False
        self._stopped: tuple[Cause, float] | None = None
        self._threads = [
            threading.Thread(target=self._serve, args=(slot,), name=f"slot-{number}", daemon=True)
            for number, slot in enumerate(slots)
        ]
        for thread in self._threads:
            thread.start()

    def take(self, jobs: Sequence[ClaimedJob]) -> None:
        """Make attempts at jobs, as soon as there are free slots; release them at once while the worker drains."""
        for job in jobs:
            attempt = Attempt(job)
            self._resources.heartbeats.add(attempt)
            with self._changed:
                self._attempts.add(attempt)
                self._waiting[attempt] = time.monotonic()
                drains = self._drains
            logs.later("claim", job_id=job.id)
            if drains:
                self._release(attempt)
            else:
                self._queue.put(attempt)

    @property
    def is_supplied(self) -> bool:
        """Whether enough jobs wait that no slot is likely to need the answer to the next claim."""
        return len(self._waiting) * SLOTS_PER_WAITING_JOB >= len(self._slots)

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait up to `seconds` until no job runs or waits; return whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._attempts, seconds)

    def drain(self) -> None:
        """Release the jobs that wait for a slot, and those that are taken from now on."""
        with self._changed:
            self._drains = True
        self.release_waiting(0)

    def release_waiting(self, longer_than_seconds: float = PATIENCE_SECONDS) -> None:
        """Release the jobs that have waited so long."""
        now = time.monotonic()
        for attempt, since in list(self._waiting.items()):
            if now - since >= longer_than_seconds and self._release(attempt):
                self._vacancies.note_long_wait()

    def stop(self, cause: Cause, grace_seconds: float) -> None:
        """Stop every attempt, also one that is about to begin."""
        with self._changed:
            self._stopped = cause, grace_seconds
            attempts = list(self._attempts)
        for attempt in attempts:
            attempt.stop(cause, grace_seconds)

    def close(self) -> None:
        """End the supervisors and the threads. A program that still runs is killed.

        All supervisors are asked before the first is waited for, so that they end side by side and share one time
        limit.
        """
        for _ in self._threads:
            self._queue.put(None)
        deadline = time.monotonic() + CLOSE_TIME_LIMIT_SECONDS
        for slot in self._slots:
            slot.hang_up()
        for slot in self._slots:
            slot.close(max(deadline - time.monotonic(), 0))
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))

    def _serve(self, slot: Slot) -> None:
        while (attempt := self._queue.get()) is not None:
            if self._no_longer_waits(attempt):
                self._make(attempt, slot)

    def _no_longer_waits(self, attempt: Attempt) -> bool:
        """Note that an attempt begins or is released; return whether it has waited until now. One thread gets True."""
        return self._waiting.pop(attempt, None) is not None

    def _make(self, attempt: Attempt, slot: Slot) -> None:
        attempt.begin(slot)
        with self._changed:
            stopped = self._stopped
        if stopped:
            attempt.stop(*stopped)
        begun_at = time.monotonic()
        try:
            verdict = self._runner.run(attempt)
        except Exception as error:  # noqa: BLE001  # the thread must live for the next job
            logs.logger().exception("crash", job_id=attempt.job.id, reason=repr(error))
            verdict = Verdict.HOST_FAULT
        if verdict is Verdict.MADE:
            self._vacancies.note_run(time.monotonic() - begun_at)
        elif self._resources.breaker.tripped:
            self.release_waiting(0)
        self._note_end(attempt)

    def _release(self, attempt: Attempt) -> bool:
        """Release the job of an attempt, unless it has begun; return whether it is released."""
        if not self._no_longer_waits(attempt):
            return False
        self._runner.release(attempt, self._drains)
        self._note_end(attempt)
        return True

    def _note_end(self, attempt: Attempt) -> None:
        if not attempt.is_reported:
            self._vacancies.free(1)
        with self._changed:
            self._attempts.discard(attempt)
            if not self._attempts:
                self._changed.notify_all()

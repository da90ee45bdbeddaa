"""The slots of a worker, each with a thread that makes one attempt after another in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from jobqueue import logs
from jobqueue.client.claims import ClaimedJob
from jobqueue.worker.attempts.attempt import Attempt, Cause, Verdict
from jobqueue.worker.attempts.runner import Runner
from jobqueue.worker.breaker import Breaker
from jobqueue.worker.slots.slot import Slot

CLOSE_TIME_LIMIT_SECONDS = 1.0


class Pool:
    """All slots with their threads. One thread calls `take`, and only while a slot is free."""

    def __init__(self, slots: Sequence[Slot], make_runner: Callable[[], Runner], breaker: Breaker) -> None:
        self._slots = slots
        self._breaker = breaker
        self._jobs: SimpleQueue[ClaimedJob | None] = SimpleQueue()
        self._changed = threading.Condition()
        self._attempts: set[Attempt] = set()
        self._busy = 0
        self._stopped: tuple[Cause, float] | None = None
        self._threads = [
            threading.Thread(target=self._serve, args=(slot, make_runner()), name=f"slot-{number}", daemon=True)
            for number, slot in enumerate(slots)
        ]
        for thread in self._threads:
            thread.start()

    def wait_for_free(self, seconds: float) -> bool:
        """Wait up to `seconds` until a slot is free; return whether one is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._busy < len(self._slots), seconds)

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait up to `seconds` until all slots are free; return whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: self._busy == 0, seconds)

    def take(self, job: ClaimedJob) -> None:
        """Make an attempt at a job in a free slot."""
        with self._changed:
            self._busy += 1
        self._jobs.put(job)

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
            self._jobs.put(None)
        deadline = time.monotonic() + CLOSE_TIME_LIMIT_SECONDS
        for slot in self._slots:
            slot.hang_up()
        for slot in self._slots:
            slot.close(max(deadline - time.monotonic(), 0))
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))

    def _serve(self, slot: Slot, runner: Runner) -> None:
        while (job := self._jobs.get()) is not None:
            attempt = Attempt(job, slot)
            verdict = self._make(attempt, runner)
            # The breaker has to know before the slot is free: the loop claims for a free slot at once, and this may
            # have been one fault too many.
            if verdict is Verdict.MADE:
                self._breaker.note_made()
            elif verdict is Verdict.HOST_FAULT:
                self._breaker.note_fault(job.id, attempt.fault_subject)
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()
        runner.close()

    def _make(self, attempt: Attempt, runner: Runner) -> Verdict:
        with self._changed:
            self._attempts.add(attempt)
            stopped = self._stopped
        if stopped:
            attempt.stop(*stopped)
        try:
            return runner.run(attempt)
        except Exception as error:  # noqa: BLE001  # the thread must live for the next job
            logs.logger().exception("crash", job_id=attempt.job.id, reason=repr(error))
            return Verdict.HOST_FAULT
        finally:
            with self._changed:
                self._attempts.discard(attempt)

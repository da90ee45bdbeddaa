"""The slots of a worker, each with a thread that makes one attempt after another in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from jobqueue import logs
from jobqueue.client.claims import ClaimedJob
from jobqueue.worker.attempts.attempt import Attempt, Cause
from jobqueue.worker.attempts.runner import Runner, WorkerFault
from jobqueue.worker.slots.slot import Slot

CLOSING_SECONDS = 1.0


class Lanes:
    """All of them. One thread hands out jobs, never more than there are free lanes."""

    def __init__(
        self, slots: Sequence[Slot], make_runner: Callable[[], Runner], on_ended: Callable[[bool], None]
    ) -> None:
        """`on_ended` is called after each attempt with whether it could be made, but not for a job that was set aside:
        that tells nothing of the worker.
        """
        self._slots = slots
        self._on_ended = on_ended
        self._jobs: SimpleQueue[ClaimedJob | None] = SimpleQueue()
        self._changed = threading.Condition()
        self._attempts: set[Attempt] = set()
        self._busy = 0
        self._stopped: tuple[Cause, float] | None = None
        self._threads = [
            threading.Thread(target=self._serve, args=(slot, make_runner()), name=f"lane-{number}", daemon=True)
            for number, slot in enumerate(slots)
        ]
        for thread in self._threads:
            thread.start()

    def wait_for_a_free_one(self, seconds: float) -> bool:
        """Wait until a lane is free, that long at most; return whether one is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._busy < len(self._slots), seconds)

    def wait_for_all(self, seconds: float) -> bool:
        """Wait until all lanes are free, that long at most; return whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: self._busy == 0, seconds)

    def take(self, job: ClaimedJob) -> None:
        """Make an attempt at a job in a free lane."""
        with self._changed:
            self._busy += 1
        self._jobs.put(job)

    def stop(self, cause: Cause, grace_seconds: float) -> None:
        """End every attempt, also one that is about to begin."""
        with self._changed:
            self._stopped = cause, grace_seconds
            attempts = list(self._attempts)
        for attempt in attempts:
            attempt.stop(cause, grace_seconds)

    def close(self) -> None:
        """End the threads and the supervisors. A program that still runs is killed."""
        for _ in self._threads:
            self._jobs.put(None)
        give_up_at = time.monotonic() + CLOSING_SECONDS
        for slot in self._slots:
            slot.hang_up()
        for slot in self._slots:
            slot.close(max(give_up_at - time.monotonic(), 0))
        for thread in self._threads:
            thread.join(max(give_up_at - time.monotonic(), 0))

    def _serve(self, slot: Slot, runner: Runner) -> None:
        while (job := self._jobs.get()) is not None:
            made = self._make(Attempt(job, slot), runner)
            if made is not None:
                self._on_ended(made)
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()
        runner.close()

    def _make(self, attempt: Attempt, runner: Runner) -> bool | None:
        with self._changed:
            self._attempts.add(attempt)
            stopped = self._stopped
        if stopped:
            attempt.stop(*stopped)
        try:
            return runner.run(attempt)
        except WorkerFault as fault:
            logs.logger().error("worker_fault", job_id=attempt.job.id, reason=str(fault))
            return False
        except Exception as error:  # noqa: BLE001  # the lane must live for the next job
            logs.logger().exception("crash", job_id=attempt.job.id, reason=repr(error))
            return False
        finally:
            with self._changed:
                self._attempts.discard(attempt)

"""One attempt at a job, shared by all threads that deal with it: whether it has been stopped, and why."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum

from jobqueue import logs
from jobqueue.client.claimed_job import ClaimedJob
from jobqueue.worker.attempts.live_output import LiveOutput
from jobqueue.worker.slots.slot import Slot
from jobqueue.worker.supervisor.messages import LeaseEnd


class Cause(Enum):
    """Why an attempt was stopped. The first cause counts, except that a lost lease replaces any other."""

    CANCELLED = "cancelled"
    SHUTDOWN = "shutdown"
    LEASE_LOST = "lease_lost"


class Verdict(Enum):
    """What an attempt says about this worker. How the job ended is no part of it.

    MADE: a program was run here, whether it succeeded, failed or was stopped.
    HOST_FAULT: the attempt could not be made, and another host might have made it; the job is released.
    NEITHER: the attempt ended before its program ran, and not because of this machine.
    """

    MADE = "made"
    HOST_FAULT = "host_fault"
    NEITHER = "neither"


@dataclass(frozen=True)
class StopPolicy:
    """How a worker stops programs.

    may_outlive_lease: whether a program may go on when its lease could not be renewed (ON_LEASE_LOSS=finish).
    kill_grace_seconds: the time from SIGTERM to SIGKILL for a program that is cancelled or reaches its time limit.
    """

    may_outlive_lease: bool
    kill_grace_seconds: float


class Attempt:
    """A claimed job, which waits for a slot until it begins.

    The event `stopped` is set as soon as there is a `cause` to stop the attempt.

    The event also identifies the run: the slot stops only the run that was given the same event, never a later job.
    """

    def __init__(self, job: ClaimedJob, slot: Slot | None = None) -> None:
        self.job = job
        self._slot = slot
        self.live_output = LiveOutput()
        self.stopped = threading.Event()
        self.cause: Cause | None = None
        self.lease_end: LeaseEnd | None = None
        """When the program has to end if the lease is not renewed; None when it may outlive the lease."""
        self.fault_subject = ""
        """What a host fault is about: a server of programs, or one program; "" for this machine."""
        self.is_reported = False
        """Whether a report about it was left to the delivery."""
        self._lock = threading.Lock()

    @property
    def slot(self) -> Slot:
        """The slot of an attempt that has begun."""
        assert self._slot is not None, "the attempt has not begun"  # noqa: S101  # for the type checker
        return self._slot

    def begin(self, slot: Slot) -> None:
        """Use this slot from now on."""
        # A thread that stops the attempt sets the event first and looks for the slot then. So either it finds the slot,
        # or the slot finds the event set when it is asked to run the program. The same holds for a renewal.
        self._slot = slot

    def stop(self, cause: Cause, grace_seconds: float = 0.0) -> bool:
        """Stop the attempt, whatever it is doing. With a grace its program gets SIGTERM first, else SIGKILL at once.

        Any thread may call this, at any time, even when the attempt is over. The heartbeat goes on while the report
        waits, so it can learn of a lost lease when the slot runs the next job already. That job is not stopped.

        Return whether this is now the cause that counts, and was not before.
        """
        with self._lock:
            before = self.cause
            if self.cause is None or cause is Cause.LEASE_LOST:
                self.cause = cause
            self.stopped.set()
        if self._slot is not None:
            self._slot.stop(grace_seconds, self.stopped)
        return cause is self.cause is not before

    def lose_lease(self, reason: str, grace_seconds: float = 0.0) -> None:
        """Stop the attempt because the lease is lost; the first call says so in the log."""
        if self.stop(Cause.LEASE_LOST, grace_seconds):
            logs.logger().warning("lease_lost", job_id=self.job.id, reason=reason)

    def renew(self, lease_end: LeaseEnd | None) -> None:
        """Let the program run on until the end of the renewed lease."""
        # In this order: a run that begins in between takes the new end from here, one that has begun gets it from the
        # slot. The attempt may be over by then, and the slot with another one.
        self.lease_end = lease_end
        if lease_end is not None and self._slot is not None:
            self._slot.renew(lease_end, self.stopped)

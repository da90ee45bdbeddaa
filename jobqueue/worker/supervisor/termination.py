"""Decides when a running program has to end: SIGTERM first, SIGKILL at a deadline."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from jobqueue.clock import since_boot
from jobqueue.worker.supervisor.messages import Launch, LeaseEnd
from jobqueue.worker.supervisor.program import Program


@dataclass
class Termination:
    """Whether and why a program has to end, and by when. Times are those of `clock`, in seconds; `inf` is never.

    There are three reasons: a stop, the launch's time limit, and the end of the lease. Each sets `kill_at` through
    `_end_by`, and the earliest deadline counts. Any other moment by which the program must be gone belongs here.
    """

    launch: Launch
    clock: Callable[[], float] = since_boot
    stopped: bool = False
    lease_over: bool = False
    timed_out: bool = False
    kill_at: float = math.inf
    terminated: bool = False

    def __post_init__(self) -> None:
        seconds = self.launch.timeout_seconds
        self.time_limit_at = math.inf if seconds is None else self.clock() + seconds
        self.lease_end = self.launch.lease_end or LeaseEnd(math.inf, math.inf)

    @property
    def lease_is_due(self) -> bool:
        """Whether the lease ends now, unless a renewal has arrived that nobody has read yet."""
        return not self.lease_over and self.clock() >= self.lease_end.terminate_at

    def stop(self, grace_seconds: float) -> None:
        """Let the program end within that time. An earlier deadline stays."""
        self.stopped = self.stopped or not self.timed_out
        self._end_by(self.clock() + grace_seconds)

    def renew(self, lease_end: LeaseEnd) -> None:
        """Put off the end of the lease, unless it has come: a program that has received SIGTERM cannot be revived."""
        if not self.lease_over:
            self.lease_end = lease_end

    def advance(self, program: Program, renewals_read_at: float | None = None) -> bool:
        """Do what is due now; return whether the program has to be killed now.

        The caller has read all renewals that arrived before `renewals_read_at`, or now without it. A lease that ended
        later may have been renewed.
        """
        now = self.clock()
        if now >= self.time_limit_at:
            self.timed_out = True
            self._end_by(now + self.launch.kill_grace_seconds)
        if not self.lease_over and (renewals_read_at or now) >= self.lease_end.terminate_at:
            self.lease_over = True
            self.stopped = self.stopped or not self.timed_out
            self._end_by(self.lease_end.kill_at)
        if now < self.kill_at < math.inf and not self.terminated:  # no SIGTERM without a grace: it could not react
            self.terminated = True
            program.terminate()
        return now >= self.kill_at

    def seconds_until(self, moment: float) -> float:
        """Return how long nothing is due, at most until `moment`."""
        lease_ends_at = math.inf if self.lease_over else self.lease_end.terminate_at
        return max(min(self.kill_at, self.time_limit_at, lease_ends_at, moment) - self.clock(), 0)

    def _end_by(self, moment: float) -> None:
        self.kill_at = min(moment, self.kill_at)
        # The first reason is the one that is reported: a program that is being stopped no longer times out.
        self.time_limit_at = math.inf

"""Decides when a running program has to end: SIGTERM first, SIGKILL at a deadline."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from jobqueue.worker.supervisor.messages import Launch
from jobqueue.worker.supervisor.program import Program


@dataclass
class Termination:
    """Whether and why a program has to end, and by when. Times are those of `clock`, in seconds; `inf` is never.

    There are two reasons, a stop and the launch's time limit. Each sets `kill_at` through `_end_within`, and the
    earliest deadline counts. Any other moment by which the program must be gone (the end of a lease, say) belongs here.
    """

    launch: Launch
    clock: Callable[[], float] = time.monotonic
    stopped: bool = False
    timed_out: bool = False
    kill_at: float = math.inf
    terminated: bool = False

    def __post_init__(self) -> None:
        seconds = self.launch.timeout_seconds
        self.time_limit_at = math.inf if seconds is None else self.clock() + seconds

    def stop(self, grace_seconds: float) -> None:
        """Let the program end within that time. An earlier deadline stays."""
        self.stopped = self.stopped or not self.timed_out
        self._end_within(grace_seconds)

    def advance(self, program: Program) -> bool:
        """Do what is due now; return whether the program has to be killed now."""
        now = self.clock()
        if now >= self.time_limit_at:
            self.timed_out = True
            self._end_within(self.launch.kill_grace_seconds)
        if now < self.kill_at < math.inf and not self.terminated:  # no SIGTERM without a grace: it could not react
            self.terminated = True
            program.terminate()
        return now >= self.kill_at

    def seconds_until(self, moment: float) -> float:
        """Return how long nothing is due, at most until `moment`."""
        return max(min(self.kill_at, self.time_limit_at, moment) - self.clock(), 0)

    def _end_within(self, seconds: float) -> None:
        self.kill_at = min(self.clock() + seconds, self.kill_at)
        # The first reason is the one that is reported: a program that is being stopped no longer times out.
        self.time_limit_at = math.inf

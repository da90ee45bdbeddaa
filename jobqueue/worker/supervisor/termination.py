"""When and how a program that runs has to end: asked to first, killed later."""

from __future__ import annotations

import time
from dataclasses import dataclass

from jobqueue.worker.supervisor.messages import Launch
from jobqueue.worker.supervisor.program import Program


@dataclass
class Ending:
    """Whether a program has to end, why, and by when. Times are monotonic."""

    launch: Launch
    stopped: bool = False
    timed_out: bool = False
    kill_at: float | None = None
    asked: bool = False

    def __post_init__(self) -> None:
        seconds = self.launch.timeout_seconds
        self.time_is_up_at = None if seconds is None else time.monotonic() + seconds

    def stop(self, grace_seconds: float) -> None:
        """Let the program end within that time; an earlier end that is due stays."""
        self.stopped = self.stopped or not self.timed_out
        self._end_within(grace_seconds)

    def advance(self, program: Program) -> bool:
        """Do what is due; return whether the program is to be killed now."""
        now = time.monotonic()
        if self.time_is_up_at is not None and now >= self.time_is_up_at and self.kill_at is None:
            self.timed_out = True
            self._end_within(self.launch.kill_grace_seconds)
        if self.kill_at is None:
            return False
        if now < self.kill_at and not self.asked:
            self.asked = True
            program.terminate()
        return now >= self.kill_at

    def seconds_left(self, live_at: float) -> float:
        """Return how long nothing is due."""
        ends = [end for end in (self.kill_at or self.time_is_up_at, live_at) if end is not None]
        return max(min(ends) - time.monotonic(), 0)

    def _end_within(self, seconds: float) -> None:
        kill_at = time.monotonic() + seconds
        self.kill_at = kill_at if self.kill_at is None else min(kill_at, self.kill_at)

"""Claims jobs for free slots until asked to stop; waits when there is none, and when the API is away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from jobqueue import logs
from jobqueue.backoff import backoff
from jobqueue.client.claims import ClaimedJob, Claims
from jobqueue.client.transport import ApiRefused, ApiUnavailable
from jobqueue.worker.breaker import Breaker
from jobqueue.worker.pool import Lanes
from jobqueue.worker.shutdown import Shutdown

SHORTEST_IDLE_SECONDS = 0.25
LONGEST_IDLE_SECONDS = 1.0
LONGEST_OUTAGE_SECONDS = 5.0
LOOK_UP_SECONDS = 0.25
BURST_PATIENCE_SECONDS = 60.0
"""How long who is to end when there is no job waits for an API that does not answer: cron will start another."""


@dataclass(frozen=True)
class Limits:
    """When to claim nothing more: after so many jobs; once there is none."""

    jobs: int | None = None
    until_empty: bool = False


class Loop:
    """The worker's life between its start and its end."""

    def __init__(self, claims: Claims, lanes: Lanes, shutdown: Shutdown, breaker: Breaker, limits: Limits) -> None:
        self._claims = claims
        self._lanes = lanes
        self._shutdown = shutdown
        self._breaker = breaker
        self._limits = limits
        self._claimed = 0
        self._found_none = False
        self._away_since: float | None = None
        self.gave_up = False
        """Whether it has ended since the API did not answer."""
        self._idle = self._fresh_idle()
        self._trouble = self._fresh_trouble()

    def run(self) -> ClaimedJob | None:
        """Claim jobs until asked to stop or until the limits are reached.

        Returns a job that was claimed when it was too late to begin it.
        """
        while not self._shutdown.requested and not self._limit_reached():
            if not self._ready() or self._shutdown.requested:
                continue
            job, seconds = self.turn()
            if job and self._shutdown.requested:
                return job
            if job:
                self._lanes.take(job)
            self._shutdown.wait(seconds)
        return None

    def turn(self) -> tuple[ClaimedJob | None, float]:
        """Claim once; return the job, and how many seconds to wait before the next claim."""
        try:
            job = self._claims.claim()
        except (ApiUnavailable, ApiRefused) as error:
            self._note(away=True, reason=str(error))
            self._consider_to_give_up()
            return None, next(self._trouble)
        self._note(away=False)
        self._found_none = job is None
        if job is None:
            return None, next(self._idle)
        logs.logger().info("claim", job_id=job.id)
        self._claimed += 1
        self._idle = self._fresh_idle()
        return job, 0

    def _ready(self) -> bool:
        """Wait for a free slot and for the end of a pause; return whether to claim now."""
        wait = self._lanes.wait_for_all if self._breaker.tripped else self._lanes.wait_for_a_free_one
        if not wait(LOOK_UP_SECONDS):
            return False
        pause = self._breaker.seconds_left()  # only now: whoever freed the slot may have been one fault too many
        if pause > 0:
            self._shutdown.wait(min(pause, LOOK_UP_SECONDS))
        return pause == 0

    def _limit_reached(self) -> bool:
        if self._limits.jobs is not None and self._claimed >= self._limits.jobs:
            return True
        return self.gave_up or (self._limits.until_empty and self._found_none)

    def _consider_to_give_up(self) -> None:
        if self._limits.until_empty and self._away_since is not None:
            self.gave_up = time.monotonic() - self._away_since > BURST_PATIENCE_SECONDS

    def _note(self, away: bool, reason: str = "") -> None:
        """Log an outage when it starts and when it ends, not at each claim."""
        if away and self._away_since is None:
            logs.logger().error("api_away", reason=reason)
            self._away_since = time.monotonic()
        if self._away_since is not None and not away:
            logs.logger().info("api_back")
            self._trouble = self._fresh_trouble()
            self._away_since = None

    @staticmethod
    def _fresh_idle() -> Iterator[float]:
        return backoff(SHORTEST_IDLE_SECONDS, LONGEST_IDLE_SECONDS)

    @staticmethod
    def _fresh_trouble() -> Iterator[float]:
        return backoff(SHORTEST_IDLE_SECONDS, LONGEST_OUTAGE_SECONDS)

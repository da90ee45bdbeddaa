"""Claims job after job until asked to stop; waits when there is none, and when the API is away."""

from __future__ import annotations

from collections.abc import Iterator

from jobqueue import logs
from jobqueue.client.claims import ClaimedJob, Claims
from jobqueue.client.retry import backoff
from jobqueue.client.transport import ApiRefused, ApiUnavailable
from jobqueue.worker.run import Runner, WorkerFault
from jobqueue.worker.shutdown import Shutdown

SHORTEST_IDLE_SECONDS = 0.25
LONGEST_IDLE_SECONDS = 1.0
LONGEST_OUTAGE_SECONDS = 5.0


class Loop:
    """The worker's life."""

    def __init__(self, claims: Claims, runner: Runner, shutdown: Shutdown) -> None:
        self._claims = claims
        self._runner = runner
        self._shutdown = shutdown
        self._away = False
        self._idle = self._fresh_idle()
        self._trouble = self._fresh_trouble()

    def run(self) -> None:
        """Claim and run jobs until asked to stop; a job that runs is finished first."""
        while not self._shutdown.requested:
            self._shutdown.wait(self.turn())

    def turn(self) -> float:
        """Claim a job and run it; return how many seconds to wait before the next claim."""
        try:
            job = self._claims.claim()
        except (ApiUnavailable, ApiRefused) as error:
            self._note(away=True, reason=str(error))
            return next(self._trouble)
        self._note(away=False)
        if job is None:
            return next(self._idle)
        return self._run(job)

    def _run(self, job: ClaimedJob) -> float:
        logs.logger().info("claim", job_id=job.id)
        self._idle = self._fresh_idle()
        try:
            self._runner.run(job)
        except WorkerFault as fault:
            logs.logger().error("attempt_abandoned", job_id=job.id, reason=str(fault))
            return next(self._trouble)
        self._trouble = self._fresh_trouble()
        return 0

    def _note(self, away: bool, reason: str = "") -> None:
        """Log an outage when it starts and when it ends, not at each claim."""
        if away and not self._away:
            logs.logger().error("api_away", reason=reason)
        if self._away and not away:
            logs.logger().info("api_back")
            self._trouble = self._fresh_trouble()
        self._away = away

    @staticmethod
    def _fresh_idle() -> Iterator[float]:
        return backoff(SHORTEST_IDLE_SECONDS, LONGEST_IDLE_SECONDS)

    @staticmethod
    def _fresh_trouble() -> Iterator[float]:
        return backoff(SHORTEST_IDLE_SECONDS, LONGEST_OUTAGE_SECONDS)

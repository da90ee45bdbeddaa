"""Claims jobs for free slots until the worker is asked to stop; waits when there is no job or no answer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from http import HTTPStatus

from jobqueue import logs
from jobqueue.backoff import backoff
from jobqueue.client.claims import ClaimedJob, Claims
from jobqueue.client.transport import ApiRefused, ApiUnavailable
from jobqueue.worker.breaker import Breaker
from jobqueue.worker.pool import Pool
from jobqueue.worker.shutdown import Shutdown

MIN_WAIT_SECONDS = 0.25
"""The bound for the first random wait before the next claim; it doubles up to one of the following."""

MAX_IDLE_WAIT_SECONDS = 1.0
MAX_OUTAGE_WAIT_SECONDS = 1.0
"""As short as for an empty queue: an API that is back gets its workers back at once, and an outage brings it no more
requests than an empty queue does. Waits are random, so workers that were cut off together come back one by one.
"""
POLL_SECONDS = 0.25
"""How often the loop checks for a request to stop while it waits for a slot or for the end of a pause."""

BURST_OUTAGE_LIMIT_SECONDS = 60.0
"""With `--burst`: how long to wait for an API that does not answer. Cron will start another worker."""


@dataclass(frozen=True)
class ClaimPolicy:
    """When to claim no further job: after `max_jobs`; with `until_empty` (`--burst`) as soon as none is pending, or
    when the API has not answered for `outage_limit_seconds`.
    """

    max_jobs: int | None = None
    until_empty: bool = False
    outage_limit_seconds: float = BURST_OUTAGE_LIMIT_SECONDS


class Loop:
    """Claims jobs one after another, on the main thread, and hands them to the pool."""

    def __init__(self, claims: Claims, pool: Pool, shutdown: Shutdown, breaker: Breaker, policy: ClaimPolicy) -> None:
        self._claims = claims
        self._pool = pool
        self._shutdown = shutdown
        self._breaker = breaker
        self._policy = policy
        self._claimed = 0
        self._found_none = False
        self._away_since: float | None = None
        self.gave_up = False
        """Whether the loop has ended because the API did not answer."""
        self._idle_waits = backoff(MIN_WAIT_SECONDS, MAX_IDLE_WAIT_SECONDS)
        self._outage_waits = backoff(MIN_WAIT_SECONDS, MAX_OUTAGE_WAIT_SECONDS)

    def run(self) -> ClaimedJob | None:
        """Claim jobs until asked to stop or until the policy says so.

        Return a job that was claimed too late to be started, for the caller to release: the worker may have been asked
        to stop while the request was under way. None otherwise.
        """
        while not self._shutdown.requested and not self._is_done():
            if not self._is_ready() or self._shutdown.requested:
                continue
            job, wait_seconds = self.claim_once()
            if job and self._shutdown.requested:
                return job
            if job:
                self._pool.take(job)
            self._shutdown.requested_within(wait_seconds)
        return None

    def claim_once(self) -> tuple[ClaimedJob | None, float]:
        """Claim once; return the job, and how many seconds to wait before the next claim.

        The wait is short for an empty queue, because a new job should start soon, and grows longer for an API that does
        not answer. After a job it is 0, since more jobs are likely to be pending.
        """
        try:
            job = self._claims.claim()
        except Exception as error:  # noqa: BLE001  # whatever a claim runs into, the worker must live to claim again
            if self._away_since is None and not isinstance(error, ApiUnavailable | ApiRefused):
                logs.logger().exception("crash", reason=repr(error))
            self._note_no_answer(_reason(error))
            return None, next(self._outage_waits)
        self._note_answer()
        self._found_none = job is None
        if job is None:
            return None, next(self._idle_waits)
        logs.logger().info("claim", job_id=job.id)
        self._claimed += 1
        self._idle_waits = backoff(MIN_WAIT_SECONDS, MAX_IDLE_WAIT_SECONDS)
        return job, 0

    def _is_ready(self) -> bool:
        """Wait a little for a free slot and for the end of a pause; return whether to claim now.

        A worker whose host is suspected waits until all its slots are free: one job is enough to see whether the host
        has recovered. The breaker is asked for the pause only after the wait for a slot, since the attempt that freed
        the slot may have been the fault that begins the pause.
        """
        wait = self._pool.wait_until_idle if self._breaker.suspects_host else self._pool.wait_for_free
        if not wait(POLL_SECONDS):
            return False
        pause = self._breaker.seconds_left()
        if pause > 0:
            self._shutdown.requested_within(min(pause, POLL_SECONDS))
        return pause == 0

    def _is_done(self) -> bool:
        enough = self._policy.max_jobs is not None and self._claimed >= self._policy.max_jobs
        return enough or self.gave_up or (self._policy.until_empty and self._found_none)

    def _note_no_answer(self, reason: str) -> None:
        """Log an outage when it begins, not at each claim; give up when it has lasted too long."""
        now = time.monotonic()
        if self._away_since is None:
            logs.logger().error("api_away", reason=reason)
            self._away_since = now
        self.gave_up = self._policy.until_empty and now - self._away_since > self._policy.outage_limit_seconds

    def _note_answer(self) -> None:
        if self._away_since is not None:
            logs.logger().info("api_back")
            self._outage_waits = backoff(MIN_WAIT_SECONDS, MAX_OUTAGE_WAIT_SECONDS)
            self._away_since = None


def _reason(error: Exception) -> str:
    """Return what the log says about a claim that was not answered."""
    if isinstance(error, ApiRefused) and error.status == HTTPStatus.NOT_FOUND:
        return f"{error} (does API_URL end in /api/v1?)"
    return str(error) or repr(error)

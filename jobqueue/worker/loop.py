"""Claims jobs for free slots until the worker is asked to stop; waits when there is no job or no answer."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

from jobqueue import logs
from jobqueue.backoff import backoff
from jobqueue.client.batches import Batches, ClaimRequest
from jobqueue.client.claimed_job import ClaimedJob
from jobqueue.client.transport import ApiRefused, ApiUnavailable, TokenRefused, Withdrawn
from jobqueue.worker.pool import Pool
from jobqueue.worker.shutdown import Shutdown
from jobqueue.worker.vacancies import Vacancies

WAIT_SECONDS = 20.0
"""How long the API may hold a claim until there is a job. Routers on the way end a request after 30 seconds."""

MIN_WAIT_SECONDS = 0.25
"""The bound for the first random wait before the next claim; it doubles up to one of the following."""

MAX_IDLE_WAIT_SECONDS = 1.0
"""Between claims of an API that does not hold them."""

MAX_OUTAGE_WAIT_SECONDS = 1.0
"""As short as for an empty queue: an API that is back gets its workers back at once, and an outage brings it no more
requests than an empty queue does. Waits are random, so workers that were cut off together come back one by one.
"""

MAX_REFUSED_WAIT_SECONDS = 15.0
"""For an API that refuses the token: somebody has to replace it, and thousands of workers may have the same one."""

POLL_SECONDS = 0.25
"""How often the loop checks for a request to stop while it waits for a slot or for the end of a pause."""

HANDOVER_SECONDS = 0.005
"""How long to wait after a job has ended a wait for one, before the next claim: so long the job has the processor."""

LAST_CLAIM_SECONDS = 2.0
"""How long a worker that ends waits for the answer to a claim that it has withdrawn."""

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


class _Withdrawal(threading.Event):
    """Set while no job may be claimed: the worker was asked to stop, or pauses. A claim that waits is given up then."""

    def __init__(self, shutdown: Shutdown, vacancies: Vacancies) -> None:
        super().__init__()
        self._shutdown = shutdown
        self._vacancies = vacancies

    def is_set(self) -> bool:
        """Whether to claim nothing."""
        return self._shutdown.requested or self._vacancies.pause_seconds > 0


class Loop:
    """Claims jobs for free slots, on the main thread, and hands them to the pool.

    While the worker is busy there is little to do here: the delivery claims the next jobs along with the reports
    (`ask`, `take`). A claim without an answer, from here or from there, is repeated here until it has one.
    """

    def __init__(
        self, connection: Batches, pool: Pool, vacancies: Vacancies, shutdown: Shutdown, policy: ClaimPolicy
    ) -> None:
        self._connection = connection
        self._pool = pool
        self._vacancies = vacancies
        self._shutdown = shutdown
        self._policy = policy
        self._withdrawal = _Withdrawal(shutdown, vacancies)
        self._unanswered: deque[ClaimRequest] = deque()
        self._found_none = False
        self._pause_until = 0.0
        self._away_since: float | None = None
        self._is_away = False
        self.gave_up = False
        """Whether the loop has ended because the API did not answer."""
        self._idle_waits = backoff(MIN_WAIT_SECONDS, MAX_IDLE_WAIT_SECONDS)
        self._outage_waits = backoff(MIN_WAIT_SECONDS, MAX_OUTAGE_WAIT_SECONDS)
        self._refused_waits = backoff(MIN_WAIT_SECONDS, MAX_REFUSED_WAIT_SECONDS)

    def run(self) -> None:
        """Claim jobs until asked to stop or until the policy says so."""
        while not self._shutdown.requested and not self._is_done():
            logs.flush()
            request = self._next_request()
            if request is None:
                self._pool.release_waiting()
            else:
                self._shutdown.requested_within(self.claim_once(request))
        self._vacancies.close()
        if self._shutdown.requested:
            self._pool.drain()
            self.repeat_last()

    def claim_once(self, request: ClaimRequest) -> float:
        """Claim jobs once; return how many seconds to wait before the next claim.

        The wait is short for an empty queue, because a new job should start soon, and grows longer for an API that does
        not answer. After a job it is next to none, since more jobs are likely to be pending.
        """
        begun_at = time.monotonic()
        try:
            jobs = self._connection.claim(request, self._withdrawal)
        except Withdrawn:
            self._unanswered.appendleft(replace(request, wait_seconds=0))
            return 0
        except Exception as error:  # noqa: BLE001  # whatever a claim runs into, the worker must live to claim again
            if self._away_since is None and not isinstance(error, ApiUnavailable | ApiRefused):
                logs.logger().exception("crash", reason=repr(error))
            self._note_no_answer(error)
            if isinstance(error, ApiUnavailable):
                # A little longer, and not all workers alike: those that were refused together would come back together.
                self._pause_until = time.monotonic() + error.pause_seconds * random.uniform(1, 1.25)
            if isinstance(error, ApiRefused):
                self.refused(request)
            else:
                self.repeat(request)
            return next(self._refused_waits if isinstance(error, TokenRefused) else self._outage_waits)
        finally:
            self._vacancies.stop_waiting()
        self._note_answer()
        self.take(request, jobs)
        if jobs:
            self._idle_waits = backoff(MIN_WAIT_SECONDS, MAX_IDLE_WAIT_SECONDS)
            return HANDOVER_SECONDS if request.wait_seconds else 0
        # An API that holds no claims, or not now, must not be asked without a pause.
        was_held = time.monotonic() - begun_at > request.wait_seconds / 2 > 0
        return 0 if was_held or self._is_done() else next(self._idle_waits)

    def repeat_last(self) -> None:
        """Repeat, once and without waiting long, the claims that were not answered: their jobs are released.

        When the worker withdraws a claim, the API may just have handed out a job to it. Nobody would run that job until
        its lease ends.
        """
        while self._unanswered:
            request = self._unanswered.popleft()
            try:
                jobs = self._connection.claim(request, within_seconds=LAST_CLAIM_SECONDS)
            except Exception as error:  # noqa: BLE001  # the worker ends; the lease of the job does, too
                logs.logger().warning("claim_unanswered", reason=_reason(error))
                return
            self.take(request, jobs)

    @property
    def is_supplied(self) -> bool:
        """Whether enough jobs wait that no slot is likely to need the answer to the next claim."""
        return self._pool.is_supplied

    def free(self, count: int) -> None:
        """Note that so many reports are on their way."""
        self._vacancies.free(count)

    def ask(self, count: int) -> ClaimRequest | None:
        """Do the same; return a claim to send along, None when no job may be claimed."""
        # The main thread may notice only a moment later that it is to stop. A claim along with the release of a job
        # would bring back just that job.
        if self._shutdown.requested:
            self._vacancies.close()
        max_jobs = self._vacancies.free_and_reserve(count)
        return ClaimRequest(max_jobs) if max_jobs else None

    def take(self, request: ClaimRequest, jobs: Sequence[ClaimedJob]) -> None:
        """Take the jobs in the answer to a claim."""
        if not jobs:
            self._found_none = True
        self._pool.take(jobs)
        self._vacancies.settle(request.max_jobs, len(jobs))

    def refused(self, request: ClaimRequest) -> None:
        """Note that a claim was not even considered."""
        self._vacancies.settle(request.max_jobs, 0)

    def repeat(self, request: ClaimRequest) -> None:
        """Send a claim that was not answered until it is."""
        self._unanswered.append(replace(request, wait_seconds=0))

    def _next_request(self) -> ClaimRequest | None:
        """Return the next claim; None when there is none after a short wait: no slot is free, or the worker pauses,
        because of host faults or because the API has asked for it.
        """
        pause = max(self._vacancies.pause_seconds, self._pause_until - time.monotonic())
        if pause > 0:
            self._shutdown.requested_within(min(pause, POLL_SECONDS))
            return None
        if self._unanswered:
            return self._unanswered.popleft()
        if not self._vacancies.wait_for_one(POLL_SECONDS) or self._shutdown.requested:
            return None
        max_jobs = self._vacancies.reserve()
        return ClaimRequest(max_jobs, 0 if self._policy.until_empty else WAIT_SECONDS) if max_jobs else None

    def _is_done(self) -> bool:
        if self.gave_up:
            return True
        return not self._unanswered and (self._vacancies.all_claimed or (self._policy.until_empty and self._found_none))

    def _note_no_answer(self, error: Exception) -> None:
        """Log an outage when it begins, not at each claim; give up when it has lasted too long.

        An API that refuses the token is not away. The token itself says so in the log (`client.token`).
        """
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
        if not self._is_away and not isinstance(error, TokenRefused):
            logs.logger().error("api_away", reason=_reason(error))
            self._is_away = True
        self.gave_up = self._policy.until_empty and now - self._away_since > self._policy.outage_limit_seconds

    def _note_answer(self) -> None:
        if self._away_since is None:
            return
        if self._is_away:
            logs.logger().info("api_back")
        self._outage_waits = backoff(MIN_WAIT_SECONDS, MAX_OUTAGE_WAIT_SECONDS)
        self._refused_waits = backoff(MIN_WAIT_SECONDS, MAX_REFUSED_WAIT_SECONDS)
        self._away_since, self._is_away = None, False


def _reason(error: Exception) -> str:
    """Return what the log says about a claim that was not answered."""
    if isinstance(error, ApiRefused) and error.status == HTTPStatus.NOT_FOUND:
        return f"{error} (does API_URL end in /api/v1?)"
    return str(error) or repr(error)

"""Requests that wait: for a job to claim, or for something to happen to a job."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from flask import request

from jobqueue.errors import JobQueueError
from jobqueue.queue.claims import ClaimRequest, Claims
from jobqueue.queue.records.claimed import ClaimedJobs
from jobqueue.queue.scripts import Call
from jobqueue.queue.waiting import watches
from jobqueue.queue.waiting.companions import Answer
from jobqueue.queue.waiting.wait import Attempt, Wait
from jobqueue.web.access import guard
from jobqueue.web.access.callers import entry_of_request
from jobqueue.web.requests import callers
from jobqueue.web.services import services

T = TypeVar("T")

RETRY_AFTER = {
    "Retry-After": {
        "schema": {"type": "integer"},
        "description": "The request had to give way before its wait was over: ask again after so many seconds.",
    }
}

WAITED = {
    "Server-Timing": {
        "schema": {"type": "string"},
        "description": "`wait;dur=N`: the request waited for N milliseconds before the lease began.",
    }
}
"""An executor can only count a lease from when it sent the claim, as it does not know when the job was handed out.
After a wait of many seconds it would stop its program long before the end of the lease, or not even start it. The
header is the W3C's for such durations.
"""


def claim(wanted: ClaimRequest, seconds: float) -> tuple[ClaimedJobs, dict[str, str]]:
    """Claim jobs, and wait for one if there is none. Return the jobs, and headers for the answer."""
    if not seconds:
        return services().claims.claim_many(wanted), {}
    question = _Question(services().claims, wanted)
    # A claim that has an id may have been answered before, so Redis must be asked before it waits. So must it where it
    # may refuse the executor, which would learn that only at the end of the wait.
    client, asks_first = _client(), bool(wanted.claim_id) or services().claims.may_refuse
    wait = Wait(wanted.executor_id, frozenset(wanted.types), seconds, client, asks_first, along=question)
    outcome = services().waiters.claim(wait, question.ask)
    if outcome.found is None:
        guard.check_again()  # the wait may have ended because the token was removed
    headers = {} if outcome.retry_after is None else {"Retry-After": str(outcome.retry_after)}
    if outcome.waited_seconds:
        headers["Server-Timing"] = (
            f"wait;dur={int(outcome.waited_seconds * 1000)}"  # rounded down: not too long a lease
        )
    return outcome.found or ClaimedJobs([], replayed=False), headers


class _Question:
    """A claim that waits, as it is asked: by itself, or along with a new job."""

    def __init__(self, claims: Claims, wanted: ClaimRequest) -> None:
        self._claims = claims
        self._wanted = wanted

    def ask(self) -> Attempt[ClaimedJobs]:
        """Claim now. Raises Unauthenticated if the token was removed during the wait."""
        guard.check_again()
        return self._attempt(self._claims.claim_many(self._wanted))

    def call(self) -> Call:
        """Return the call of the script, for another request to send it."""
        return self._claims.call_of(self._wanted)

    def read(self, answer: Answer) -> Attempt[ClaimedJobs]:
        """Return what it got. Raises the error that the claim was answered with."""
        if isinstance(answer, JobQueueError):
            raise answer
        return self._attempt(self._claims.read(self._wanted, answer))

    def _attempt(self, claimed: ClaimedJobs) -> Attempt[ClaimedJobs]:
        return Attempt(claimed, {each.job.type for each in claimed.jobs}, claimed.replayed)


def read(
    job_id: str,
    seconds: float,
    read_now: Callable[[], T],
    is_enough: Callable[[T], bool],
    notices: tuple[str, ...] = (watches.ENDED,),
) -> T:
    """Read something about a job as soon as it is enough, or at the end of the wait.

    `notices` are those after which it may be enough.
    """
    if not seconds:
        return read_now()
    found = services().watches.read(watches.Wait(job_id, notices, seconds, _client()), read_now, is_enough)
    guard.check_again()
    return found


def _client() -> callers.Client:
    """Return the client of this request. Whether it may go on waiting is asked where there is no request."""
    return callers.Client(request.environ, partial(guard.is_still_valid, services().access, entry_of_request()))

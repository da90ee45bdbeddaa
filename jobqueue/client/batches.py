"""The executor's requests about many jobs at once: claim some, renew all leases, report how several have ended.

Where the API is older and knows only single requests, those are sent instead.
"""

from __future__ import annotations

import io
import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from jobqueue import json_stream
from jobqueue.client.claimed_job import ClaimedJob, read_jobs
from jobqueue.client.claims import CLAIM_SECONDS, Claims, Held
from jobqueue.client.older_api import OlderApi
from jobqueue.client.transport import ApiRefused, ApiUnavailable, Request, Transport
from jobqueue.clock import since_boot

MAX_JOBS = 100
"""The most jobs of one claim, and the most results of one `finish`."""

MAX_BEATS = 1000
BODY_BYTES = 2 * 1024**2
"""The most jobs of one heartbeat, and the size beyond which another request is begun."""

PASSING_CODES = frozenset({"store_unavailable", "store_full", "server_busy", "error"})
"""The codes that say nothing about a job: its result is sent again, its lease renewed later. Any other is a refusal."""


@dataclass(frozen=True)
class ClaimRequest:
    """A claim for up to `max_jobs` jobs. The API may hold it for `wait_seconds` until there is a job.

    It may be sent until it is answered, and has to be: by `claim_id` the API knows it again, and answers with the same
    jobs. Without that, jobs whose answer was lost would wait for the end of their lease.
    """

    max_jobs: int
    wait_seconds: float = 0.0
    claim_id: str = field(default_factory=lambda: secrets.token_hex(8))

    def fields(self) -> dict[str, object]:
        """Return the fields of the request, without the executor."""
        wait = {"wait_seconds": self.wait_seconds} if self.wait_seconds else {}
        return {"max_jobs": self.max_jobs, "claim_id": self.claim_id, **wait}


@dataclass(frozen=True)
class Beat:
    """What a heartbeat says about one job: that it is still worked on, and what its program has written since."""

    job: ClaimedJob
    output: Mapping[str, Any]


@dataclass(frozen=True)
class Settled:
    """The answer to one result: accepted, refused for a reason, or (with `again`) to be sent once more."""

    refusal: str = ""
    again: bool = False


@dataclass(frozen=True)
class Finished:
    """The answer to several results, in their order, and the jobs of the claim that was sent along."""

    results: Sequence[Settled]
    jobs: Sequence[ClaimedJob]


class Batches:
    """The requests of one executor. Every method raises ApiUnavailable, ApiRefused. For one thread at a time.

    `single` sends the single requests over the same connection. `older` is what all threads know about the API.
    """

    def __init__(self, transport: Transport, executor_id: str, older: OlderApi | None = None) -> None:
        self.single = Claims(transport, executor_id)
        self.older = older or OlderApi()
        self._transport = transport
        self._executor_id = executor_id

    def claim(
        self, request: ClaimRequest, withdrawn: Event | None = None, within_seconds: float = CLAIM_SECONDS
    ) -> Sequence[ClaimedJob]:
        """Return the next jobs, none when no job is pending. Raises Withdrawn soon after the event is set.

        The time limit is for the answer, besides the time for which the API may hold the request.

        An older API is asked for one job, once, and does not wait for it.
        """
        if not self.older.assumed:
            body = json.dumps({"executor_id": self._executor_id, **request.fields()}).encode()
            claim = Request("POST", "/jobs/claim", body, repeatable=True, held_seconds=request.wait_seconds)
            asked_at = since_boot()
            try:
                answer, held_seconds = self._transport.ask(claim, within_seconds + request.wait_seconds, withdrawn)
            except ApiRefused as refused:
                if not self.older.lacks_fields(refused):
                    raise
            else:
                return [] if answer is None else _at_most(request, read_jobs(answer, asked_at + held_seconds))
        job = self.single.claim()
        return [] if job is None else [job]

    def heartbeat(self, beats: Sequence[Beat], within_seconds: float) -> dict[str, Held | None]:
        """Renew the leases of jobs, giving up after about `within_seconds`.

        Return, by attempt token, None when the lease is lost. A job that is missing was not answered for. Raises the
        error when none was.
        """
        deadline = time.monotonic() + within_seconds
        answers: dict[str, Held | None] = {}
        if self.older.assumed:
            return self._single_heartbeats(beats, deadline)
        try:
            for jobs, body in self._bodies(beats):
                answer = self._transport.send("POST", "/jobs/bulk/heartbeat", body, deadline - time.monotonic())
                answers |= _leases(answer, jobs)
        except ApiRefused as refused:
            if not self.older.lacks_route(refused):
                raise
            return self._single_heartbeats(beats, deadline)
        except ApiUnavailable:
            if not answers:
                raise
        return answers

    def finish(self, results: Sequence[bytes], claim: ClaimRequest | None, within_seconds: float) -> Finished:
        """Report how several attempts have ended, each as a JSON object with `id` and `outcome`, and claim jobs."""
        asked_at = since_boot()
        more = b"" if claim is None else b',"claim":' + json.dumps(claim.fields()).encode()
        head = b'{"executor_id":' + json.dumps(self._executor_id).encode() + b',"results":['
        body = head + b",".join(results) + b"]" + more + b"}"
        try:
            request = Request("POST", "/jobs/bulk/finish", body, repeatable=True)
            answer, held_seconds = self._transport.ask(request, within_seconds)
        except ApiRefused as refused:
            self.older.lacks_route(refused)
            raise
        settled = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(settled, list) or len(settled) != len(results):
            raise ApiUnavailable("the answer to the results is not from this API")
        jobs = [] if claim is None else _at_most(claim, read_jobs(answer, asked_at + held_seconds))
        return Finished([_settled(each, result) for each, result in zip(settled, results, strict=True)], jobs)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _bodies(self, beats: Sequence[Beat]) -> Iterator[tuple[list[ClaimedJob], io.BytesIO]]:
        """Yield the body of each request, and the jobs that it names."""
        head = b'{"executor_id":' + json.dumps(self._executor_id).encode() + b',"jobs":['
        body, jobs = io.BytesIO(head), list[ClaimedJob]()
        for beat in beats:
            body.seek(0, io.SEEK_END)
            body.write(b"," if jobs else b"")
            output = {"output": beat.output} if beat.output else {}
            json_stream.write(body, {"id": beat.job.id, "attempt_token": beat.job.attempt_token, **output})
            jobs.append(beat.job)
            if len(jobs) == MAX_BEATS or body.tell() > BODY_BYTES:
                body.write(b"]}")
                yield jobs, body
                body, jobs = io.BytesIO(head), []
        if jobs:
            body.seek(0, io.SEEK_END)
            body.write(b"]}")
            yield jobs, body

    def _single_heartbeats(self, beats: Sequence[Beat], deadline: float) -> dict[str, Held | None]:
        answers: dict[str, Held | None] = {}
        error: Exception | None = None
        for beat in beats:
            try:
                held = self.single.heartbeat(beat.job, deadline - time.monotonic(), beat.output)
            except (ApiUnavailable, ApiRefused) as failed:
                error = failed
            else:
                answers[beat.job.attempt_token] = held
        if error is not None and not answers:
            raise error
        return answers


def _at_most(request: ClaimRequest, jobs: Sequence[ClaimedJob]) -> Sequence[ClaimedJob]:
    # More jobs than there are places would wait here while others could run them.
    if len(jobs) > request.max_jobs:
        raise ApiUnavailable("the answer to the claim has more jobs than were asked for")
    return jobs


def _leases(answer: object, jobs: Sequence[ClaimedJob]) -> dict[str, Held | None]:
    entries = answer.get("jobs") if isinstance(answer, dict) else None
    if not isinstance(entries, list) or len(entries) != len(jobs):
        raise ApiUnavailable("the answer to the heartbeat is not from this API")
    return {
        job.attempt_token: _lease(entry, job)
        for entry, job in zip(entries, jobs, strict=True)
        if not isinstance(entry, dict) or entry.get("code") not in PASSING_CODES
    }


def _lease(entry: object, job: ClaimedJob) -> Held | None:
    held = entry.get("held") if isinstance(entry, dict) and entry.get("id") == job.id else None
    if not isinstance(entry, dict) or not isinstance(held, bool):
        raise ApiUnavailable("the answer to the heartbeat is not from this API")
    return Held(entry.get("cancel_requested") is True) if held else None


def _settled(answer: object, result: bytes) -> Settled:
    job_id = answer.get("id") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or not isinstance(job_id, str) or not result.startswith(_beginning(job_id)):
        raise ApiUnavailable("the answer to a result is not from this API")
    if isinstance(answer.get("status"), str):
        return Settled()
    if not isinstance(answer.get("error"), str):
        raise ApiUnavailable("the answer to a result is not from this API")
    return Settled(answer["error"], again=answer.get("code") in PASSING_CODES)


def _beginning(job_id: str) -> bytes:
    return b'{"id":' + json.dumps(job_id).encode() + b","

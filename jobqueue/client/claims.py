"""What an executor asks of the API."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import IO, Any

from jobqueue import json_stream
from jobqueue.client.transport import ANSWER_SECONDS, ApiRefused, ApiUnavailable, Transport

CLAIM_SECONDS = 5.0
"""A worker that is to stop waits for a claim that is under way: what it brings must be given back."""

METHODS = {"complete": "PUT", "fail": "PUT", "release": "POST"}
"""How each kind of report is sent."""


@dataclass(frozen=True)
class ClaimedJob:
    """A job to run, the token that stands for this attempt at it, how long we may stay silent (milliseconds), and
    how long the program may run (seconds, None for as long as it likes).
    """

    id: str
    binary_url: str
    binary_sha256: str
    arguments: Sequence[str]
    env_variables: Mapping[str, str]
    attempt_token: str
    lease_ms: int
    type: str = ""
    attempt: int = 1
    timeout_seconds: float | None = None
    asked_at: float = field(default_factory=time.monotonic, compare=False)
    """When the claim was sent (monotonic): the lease may have begun just after."""


NEEDED = ("id", "binary_url", "binary_sha256", "arguments", "env_variables", "attempt_token", "lease_ms")
OPTIONAL = ("type", "attempt", "timeout_seconds")


@dataclass(frozen=True)
class Held:
    """The lease was renewed; whether somebody wants the job to end."""

    cancel_requested: bool


class Claims:
    """Claim jobs and speak for them, as one executor. Every method raises ApiUnavailable, ApiRefused."""

    def __init__(self, transport: Transport, executor_id: str) -> None:
        self._transport = transport
        self._executor_id = executor_id

    def claim(self) -> ClaimedJob | None:
        """Return the next job, None when there is none. A lost answer hides a running attempt, which its lease ends."""
        asked_at = time.monotonic()
        body = {"executor_id": self._executor_id}
        job = self._transport.call("POST", "/jobs/claim", body, CLAIM_SECONDS).body
        if job is None:
            return None
        try:
            told = {name: job[name] for name in NEEDED} | {name: job[name] for name in OPTIONAL if name in job}
            return ClaimedJob(**told, asked_at=asked_at)
        except (KeyError, TypeError) as error:
            raise ApiUnavailable("what was claimed is no job of this API") from error

    def heartbeat(self, job: ClaimedJob, within_seconds: float, output: Mapping[str, Any] | None = None) -> Held | None:
        """Renew the lease, giving up after about `within_seconds`; None when it is lost.

        `output` is what is new of the program's outputs, as the API documents it.
        """
        path = f"/jobs/{job.id}/heartbeat"
        try:
            if output:
                answer = self._transport.send("PUT", path, self._with_output(job, output), within_seconds).body
            else:
                answer = self._transport.call("PUT", path, self.holder(job), within_seconds).body
        except ApiRefused as refused:
            if refused.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return Held(_checked(answer, "heartbeat").get("cancel_requested") is True)

    def _with_output(self, job: ClaimedJob, output: Mapping[str, Any]) -> IO[bytes]:
        """Return the body of a heartbeat in a file. Made as a whole it would be in memory several times over."""
        body = io.BytesIO()
        json_stream.write(body, {**self.holder(job), "output": output})
        return body

    def report(self, job_id: str, verb: str, body: IO[bytes], within_seconds: float = ANSWER_SECONDS) -> None:
        """Report how an attempt ended: `complete`, `fail` or `release`, with the JSON that is in the file.

        A repeat of the same report is answered like the first, except that of a release, which is refused: the attempt
        is over either way.
        """
        answer = self._transport.send(METHODS[verb], f"/jobs/{job_id}/{verb}", body, within_seconds).body
        _checked(answer, verb)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def holder(self, job: ClaimedJob) -> dict[str, object]:
        """Return who speaks, as every word about a running job begins."""
        return {"executor_id": self._executor_id, "attempt_token": job.attempt_token}


def _checked(answer: object, verb: str) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise ApiUnavailable(f"what answered the {verb} is not this API")
    return answer

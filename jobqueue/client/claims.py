"""The executor's single requests to the API: claim a job, renew its lease, report how it ended."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, Any

from jobqueue import json_stream
from jobqueue.client.claimed_job import ClaimedJob, read_job
from jobqueue.client.transport import ANSWER_SECONDS, ApiRefused, ApiUnavailable, Transport
from jobqueue.clock import since_boot

__all__ = ["CLAIM_SECONDS", "METHODS", "ClaimedJob", "Claims", "Held"]

CLAIM_SECONDS = 5.0
"""Time limit of a claim, besides the time for which it may be held. A worker that shuts down waits for it: it has to
release the jobs that the claim may bring.
"""

METHODS = {"complete": "PUT", "fail": "PUT", "release": "POST"}
"""The HTTP method of each kind of report."""


@dataclass(frozen=True)
class Held:
    """The lease was renewed. `cancel_requested` is whether the cancellation of the job was requested."""

    cancel_requested: bool


class Claims:
    """The requests of one executor. Every method raises ApiUnavailable, ApiRefused."""

    def __init__(self, transport: Transport, executor_id: str) -> None:
        self._transport = transport
        self._executor_id = executor_id

    def claim(self) -> ClaimedJob | None:
        """Return the next job, None when no job is pending.

        When the answer is lost the job is claimed all the same: nobody runs it until its lease ends.
        """
        asked_at = since_boot()
        job = self._transport.call("POST", "/jobs/claim", {"executor_id": self._executor_id}, CLAIM_SECONDS)
        return None if job is None else read_job(job, asked_at)

    def heartbeat(self, job: ClaimedJob, within_seconds: float, output: Mapping[str, Any] | None = None) -> Held | None:
        """Renew the lease, giving up after about `within_seconds`; None when the lease is lost.

        `output` is what the program has written since the last heartbeat, as the API documents it.
        """
        # An output can be large, and would be in memory several times over if it were encoded as a whole.
        body = io.BytesIO()
        json_stream.write(body, {**self.holder(job), **({"output": output} if output else {})})
        try:
            answer = self._transport.send("PUT", f"/jobs/{job.id}/heartbeat", body, within_seconds)
        except ApiRefused as refused:
            if refused.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return Held(_checked(answer, "heartbeat", job.id).get("cancel_requested") is True)

    def report(self, job_id: str, verb: str, body: IO[bytes], within_seconds: float = ANSWER_SECONDS) -> None:
        """Report how an attempt ended: `complete`, `fail` or `release`, with the JSON in the file.

        A replay of `complete` or `fail` is answered like the first report. A replay of `release` is refused. The
        attempt is over either way.
        """
        _checked(self._transport.send(METHODS[verb], f"/jobs/{job_id}/{verb}", body, within_seconds), verb, job_id)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def holder(self, job: ClaimedJob) -> dict[str, object]:
        """Return the fields that identify the holder of the lease; every request about a running job has them."""
        return {"executor_id": self._executor_id, "attempt_token": job.attempt_token}


def _checked(answer: object, verb: str, job_id: str) -> dict[str, Any]:
    # Any server may answer 200 with some JSON. Taken for the API's, such an answer would end the sending of a result
    # that nobody has stored, or renew a lease that goes on running out.
    if not isinstance(answer, dict) or answer.get("id") != job_id:
        raise ApiUnavailable(f"the answer to the {verb} is not from this API")
    return answer

"""The executor's requests to the API: claim a job, renew its lease, report how it ended."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import IO, Any

from jobqueue import json_stream
from jobqueue.client.transport import ANSWER_SECONDS, ApiRefused, ApiUnavailable, Transport
from jobqueue.clock import since_boot

CLAIM_SECONDS = 5.0
"""Time limit of a claim. A worker that shuts down waits for it: it has to release the job that the claim may bring."""

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""The id of a job. It is a part of paths."""

METHODS = {"complete": "PUT", "fail": "PUT", "release": "POST"}
"""The HTTP method of each kind of report."""


@dataclass(frozen=True)
class ClaimedJob:
    """A job to run.

    `attempt_token` stands for this attempt. The lease lasts `lease_ms` (milliseconds) without a heartbeat. The program
    may run for `timeout_seconds`, None for no limit.
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
    asked_at: float = field(default_factory=since_boot, compare=False)
    """When the claim was sent (`clock.since_boot`). The lease may have begun at any time since."""


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
        if job is None:
            return None
        if not _is_job(job):
            raise ApiUnavailable("the answer to the claim is not a job of this API")
        return ClaimedJob(**{name: job[name] for name in FIELDS if name in job}, asked_at=asked_at)

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


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


FIELDS: Mapping[str, Callable[[Any], bool]] = {
    "id": lambda value: isinstance(value, str) and ID.fullmatch(value) is not None,
    "binary_url": _is_text,
    "binary_sha256": _is_text,
    "arguments": lambda value: isinstance(value, list) and all(map(_is_text, value)),
    "env_variables": lambda value: isinstance(value, dict) and all(map(_is_text, value.values())),
    "attempt_token": _is_text,
    "lease_ms": _is_number,
    "type": _is_text,
    "attempt": _is_number,
    "timeout_seconds": lambda value: value is None or _is_number(value),
}
"""The fields of a claimed job that are used here, and what each of them may be."""

OPTIONAL = frozenset({"type", "attempt", "timeout_seconds"})


def _is_job(answer: object) -> bool:
    """Whether an answer is a job of this API. Its fields become paths, times and arguments, so their types matter."""
    if not isinstance(answer, dict):
        return False
    return all(name in OPTIONAL if name not in answer else valid(answer[name]) for name, valid in FIELDS.items())


def _checked(answer: object, verb: str, job_id: str) -> dict[str, Any]:
    # Any server may answer 200 with some JSON. Taken for the API's, such an answer would end the sending of a result
    # that nobody has stored, or renew a lease that goes on running out.
    if not isinstance(answer, dict) or answer.get("id") != job_id:
        raise ApiUnavailable(f"the answer to the {verb} is not from this API")
    return answer

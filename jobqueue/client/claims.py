"""What an executor asks of the API."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from jobqueue.client.transport import ANSWER_SECONDS, ApiRefused, ApiUnavailable, Transport


@dataclass(frozen=True)
class ClaimedJob:
    """A job to run, the token that stands for this attempt at it, and how long we may stay silent (milliseconds)."""

    id: str
    binary_url: str
    binary_sha256: str
    arguments: Sequence[str]
    env_variables: Mapping[str, str]
    attempt_token: str
    lease_ms: int
    asked_at: float = field(default_factory=time.monotonic, compare=False)
    """When the claim was sent (monotonic): the lease may have begun just after."""


ANSWERED = [name for name in ClaimedJob.__dataclass_fields__ if name != "asked_at"]


@dataclass(frozen=True)
class Report:
    """How a run ended. `exit_code` is None when the program never ran; an `error_message` makes it a failure."""

    exit_code: int | None
    stdout: str = ""
    stderr: str = ""
    error_message: str | None = None

    @property
    def verb(self) -> str:
        """`complete` or `fail`."""
        return "complete" if self.error_message is None else "fail"


class Claims:
    """Claim jobs and speak for them, as one executor. Every method raises ApiUnavailable, ApiRefused."""

    def __init__(self, transport: Transport, executor_id: str) -> None:
        self._transport = transport
        self._executor_id = executor_id

    def claim(self) -> ClaimedJob | None:
        """Return the next job, None when there is none."""
        asked_at = time.monotonic()
        job = self._transport.call("POST", "/jobs/claim", {"executor_id": self._executor_id}).body
        if job is None:
            return None
        try:
            return ClaimedJob(**{name: job[name] for name in ANSWERED}, asked_at=asked_at)
        except (KeyError, TypeError) as error:
            raise ApiUnavailable("what was claimed is no job of this API") from error

    def heartbeat(self, job: ClaimedJob, within_seconds: float) -> bool:
        """Renew the lease, giving up after about `within_seconds`; False when it is lost."""
        try:
            self._say(job, "heartbeat", self._holder(job), within_seconds)
        except ApiRefused as refused:
            if refused.status == HTTPStatus.NOT_FOUND:
                return False
            raise
        return True

    def report(self, job: ClaimedJob, report: Report) -> None:
        """Report how the job ended. A repeat of the same report is answered like the first."""
        body: dict[str, object] = {
            **self._holder(job),
            "exit_code": report.exit_code,
            "stdout": report.stdout,
            "stderr": report.stderr,
        }
        if report.error_message is not None:
            body["error_message"] = report.error_message
        self._say(job, report.verb, body, ANSWER_SECONDS)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _say(self, job: ClaimedJob, verb: str, body: dict[str, object], within_seconds: float) -> None:
        answer = self._transport.call("PUT", f"/jobs/{job.id}/{verb}", body, within_seconds)
        if not isinstance(answer.body, dict):
            raise ApiUnavailable(f"what answered the {verb} is not this API")

    def _holder(self, job: ClaimedJob) -> dict[str, object]:
        return {"executor_id": self._executor_id, "attempt_token": job.attempt_token}

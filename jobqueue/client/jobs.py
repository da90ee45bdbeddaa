"""What a submitter asks of the API."""

from __future__ import annotations

from typing import Any

from jobqueue.client.transport import Transport


class Jobs:
    """Submit jobs and look at them. Every method raises ApiUnavailable, ApiRefused."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def submit(self, job: dict[str, Any]) -> str:
        """Submit a job, given as the API documents it; return its id. Not to be repeated when the answer is lost: that
        may hide a stored job.
        """
        return str(self._transport.call("POST", "/jobs", job).body["id"])

    def get(self, job_id: str) -> dict[str, Any]:
        """Return all there is to know of a job, as the API documents it."""
        body: dict[str, Any] = self._transport.call("GET", f"/jobs/{job_id}").body
        return body

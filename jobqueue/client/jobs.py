"""The submitter's requests to the API."""

from __future__ import annotations

from typing import Any

from jobqueue.client.transport import ApiUnavailable, Transport


class Jobs:
    """Submits and reads jobs. Every method raises ApiUnavailable, ApiRefused."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def submit(self, job: dict[str, Any]) -> str:
        """Submit a job, given as the API documents it; return its id.

        Do not simply try again after ApiUnavailable: the job may be stored, and would then run twice.
        """
        return str(_checked(self._transport.call("POST", "/jobs", job))["id"])

    def get(self, job_id: str) -> dict[str, Any]:
        """Return all details of a job, as the API documents them."""
        return _checked(self._transport.call("GET", f"/jobs/{job_id}"))


def _checked(answer: object) -> dict[str, Any]:
    if not isinstance(answer, dict) or "id" not in answer:
        raise ApiUnavailable("the answer is not a job of this API")
    return answer

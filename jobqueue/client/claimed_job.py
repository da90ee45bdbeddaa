"""A job that an executor has claimed, and how an answer of the API is read as one."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobqueue.client.unavailable import ApiUnavailable
from jobqueue.clock import since_boot

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""The id of a job. It is a part of paths."""


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
    signature: Mapping[str, Any] | None = None
    """The envelope with which the job was submitted, not verified; None without one."""
    asked_at: float = field(default_factory=since_boot, compare=False)
    """When the claim was sent (`clock.since_boot`). The lease may have begun at any time since."""


def read_job(answer: object, asked_at: float) -> ClaimedJob:
    """Return the job in an answer to a claim that was sent at that moment. Raises ApiUnavailable when it is none.

    Its fields become paths, times and arguments, so their types matter.
    """
    if not isinstance(answer, dict) or not _is_job(answer):
        raise ApiUnavailable("the answer to the claim is not a job of this API")
    return ClaimedJob(**{name: answer[name] for name in FIELDS if name in answer}, asked_at=asked_at)


def read_jobs(answer: object, asked_at: float) -> list[ClaimedJob]:
    """Return the jobs in an answer to a claim for several. Raises ApiUnavailable when it has no list of jobs."""
    jobs = answer.get("jobs") if isinstance(answer, dict) else None
    if not isinstance(jobs, list):
        raise ApiUnavailable("the answer to the claim is not a list of jobs of this API")
    return [read_job(job, asked_at) for job in jobs]


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
    "signature": lambda value: value is None or isinstance(value, dict),
}
"""The fields of a claimed job that are used here, and what each of them may be."""

OPTIONAL = frozenset({"type", "attempt", "timeout_seconds", "signature"})


def _is_job(answer: Mapping[str, Any]) -> bool:
    return all(name in OPTIONAL if name not in answer else valid(answer[name]) for name, valid in FIELDS.items())

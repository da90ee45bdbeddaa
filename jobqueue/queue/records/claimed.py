"""The jobs that a claim got."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobqueue import logs
from jobqueue.job import Job


@dataclass(frozen=True)
class Claimed:
    """A job for an executor: the token and the number (from 1) of this attempt, how long the executor may be silent."""

    job: Job
    attempt_token: str
    attempt: int
    lease_ms: int


@dataclass(frozen=True)
class ClaimedJobs:
    """The jobs of a claim, and whether it was a replay: then they are those that it got before and still holds."""

    jobs: Sequence[Claimed]
    replayed: bool


def log_claim(executor_id: str, claimed: ClaimedJobs) -> None:
    """Log a claim in one line, with the ids of all its jobs."""
    replay = {"replay": True} if claimed.replayed else {}
    if len(claimed.jobs) == 1:
        [only] = claimed.jobs
        logs.later("claim", job_id=only.job.id, executor_id=executor_id, attempt=only.attempt, **replay)
    elif claimed.jobs:
        job_ids = " ".join(each.job.id for each in claimed.jobs)
        logs.later("claim", executor_id=executor_id, jobs=len(claimed.jobs), job_ids=job_ids, **replay)

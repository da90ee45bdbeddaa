"""New jobs as `lua/submit.lua` takes them. Making them takes a while for thousands of jobs, and asks nobody."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from jobqueue.job import NewJob, Spec
from jobqueue.queue.records import write_spec

SEED_BYTES = 16
UUID_BYTES = 16
IDS_LOGGED = 3
VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


@dataclass(frozen=True)
class Submission:
    """Jobs with their ids, and what the script stores of each, in the order in which the jobs were sent."""

    jobs: Sequence[NewJob]
    job_ids: Sequence[str]
    records: Sequence[str]

    @property
    def facts(self) -> dict[str, object]:
        """What the log says: everything about one job, how many there are of several and which are the first."""
        if len(self.jobs) == 1:
            (job,), (job_id,) = self.jobs, self.job_ids
            return {"job_id": job_id, "type": job.type, "priority": str(job.priority)}
        return {"count": len(self.jobs), "job_ids": " ".join(self.job_ids[:IDS_LOGGED])}


def prepare(jobs: Sequence[NewJob], timeout_seconds: float | None) -> Submission:
    """Give jobs new ids, and the default time limit to those that name none."""
    job_ids = make_ids(os.urandom(SEED_BYTES), len(jobs))
    records = [
        f"{job_id} {job.priority} {job.type} {write_spec(_with_timeout(job.spec, timeout_seconds))}"
        for job_id, job in zip(job_ids, jobs, strict=True)
    ]
    return Submission(jobs, job_ids, records)


def make_ids(seed: bytes, count: int) -> list[str]:
    """Return so many UUIDs of version 4, always the same ones for a seed.

    Nobody can guess them who does not know the seed. The system is asked for randomness once, for any number of them.
    """
    digits = hashlib.shake_128(seed).hexdigest(UUID_BYTES * count)
    return [_uuid(digits[first : first + 2 * UUID_BYTES]) for first in range(0, len(digits), 2 * UUID_BYTES)]


def _uuid(digits: str) -> str:
    variant = VARIANTS[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _with_timeout(spec: Spec, seconds: float | None) -> Spec:
    return spec if seconds is None or spec.timeout_seconds is not None else replace(spec, timeout_seconds=seconds)

"""New jobs as `lua/submit.lua` takes them. Making them takes a while for thousands of jobs, and asks nobody."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from jobqueue.job import NewJob, Spec
from jobqueue.queue.records.jobs import write_spec

SEED_BYTES = 16
UUID_BYTES = 16
FINGERPRINT_BYTES = 16
ORDERED = json.JSONEncoder(sort_keys=True, check_circular=False)
IDS_LOGGED = 3
VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


@dataclass(frozen=True)
class Submission:
    """Jobs, their ids, and what the script stores of each, in the order in which they were sent.

    `seed` is what the ids were made from, `key` the key under which the same request may be sent again ("" for none),
    and `fingerprint` what must be the same then.
    """

    jobs: Sequence[NewJob]
    job_ids: Sequence[str]
    records: Sequence[str]
    seed: str
    key: str
    fingerprint: str

    def facts(self, job_ids: Sequence[str]) -> dict[str, object]:
        """Return what the log says: everything about one job, how many there are of several and which are the first."""
        if len(self.jobs) == 1:
            (job,), (job_id,) = self.jobs, job_ids
            return {"job_id": job_id, "type": job.type, "priority": str(job.priority)}
        return {"count": len(self.jobs), "job_ids": " ".join(job_ids[:IDS_LOGGED])}


def prepare(jobs: Sequence[NewJob], timeout_seconds: float | None, key: str = "") -> Submission:
    """Give jobs new ids, and the default time limit to those that name none."""
    seed = secrets.token_hex(SEED_BYTES)
    job_ids = make_ids(seed, len(jobs))
    records = [
        f"{job_id} {job.priority} {job.type} {write_spec(_with_timeout(job.spec, timeout_seconds))}"
        for job_id, job in zip(job_ids, jobs, strict=True)
    ]
    return Submission(jobs, job_ids, records, seed, key, fingerprint(jobs) if key else "")


def fingerprint(jobs: Sequence[NewJob]) -> str:
    """Return a hash that is the same for the same jobs, however their JSON was written.

    Clients that are sent the same request to repeat by their own callers often write it anew, and many languages order
    the names of an object by chance. So the jobs are compared and not the bytes. What a job does not say is left out:
    a server that knows more fields has the same hash for it. Defaults are not in it either, as settings may change.
    """
    digest = hashlib.blake2b(digest_size=FINGERPRINT_BYTES)
    for job in jobs:
        spec = {name: value for name, value in vars(job.spec).items() if value is not None}
        digest.update(ORDERED.encode([job.type, job.priority, spec]).encode())
    return digest.hexdigest()


def make_ids(seed: str, count: int) -> list[str]:
    """Return so many UUIDs of version 4, always the same ones for a seed.

    Nobody can guess them who does not know the seed. The system is asked for randomness once, for any number of them.
    """
    digits = hashlib.shake_128(seed.encode()).hexdigest(UUID_BYTES * count)
    return [_uuid(digits[first : first + 2 * UUID_BYTES]) for first in range(0, len(digits), 2 * UUID_BYTES)]


def _uuid(digits: str) -> str:
    variant = VARIANTS[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _with_timeout(spec: Spec, seconds: float | None) -> Spec:
    # The time limit of a signed job is a part of what was signed, also if it is none.
    if seconds is None or spec.timeout_seconds is not None or spec.signature is not None:
        return spec
    return replace(spec, timeout_seconds=seconds)

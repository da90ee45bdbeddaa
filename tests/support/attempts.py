"""Attempts as tests make them: a job is claimed, reported about, or lost."""

from __future__ import annotations

from dataclasses import dataclass

from jobqueue.job import Priority, Status
from jobqueue.result import Holder, Result
from tests.support.bench import Bench

DONE = Result(0, "out", "err")
BROKEN = Result(1, "out", "err", "it broke")


@dataclass(frozen=True)
class Attempt:
    """A job that was claimed, and the holder of its lease."""

    job_id: str
    holder: Holder

    @property
    def without_token(self) -> Holder:
        """The same executor without its token."""
        return Holder(self.holder.executor_id)


def claim(bench: Bench, executor_id: str = "executor-1") -> Attempt:
    """Claim the next job. One must be pending."""
    claimed = bench.claims.claim(executor_id, "10.0.0.1")
    assert claimed is not None, "no job is pending"
    return Attempt(claimed.job.id, Holder(executor_id, claimed.attempt_token))


def start(bench: Bench, executor_id: str = "executor-1", priority: Priority = Priority.BACKGROUND) -> Attempt:
    """Submit a job and claim it."""
    [job_id] = bench.submit(1, priority)
    attempt = claim(bench, executor_id)
    assert attempt.job_id == job_id
    return attempt


def let_leases_end(bench: Bench) -> None:
    """Let one lease pass, with sweeps often enough that the queue itself is never absent."""
    bench.commands.sweep()
    for _ in range(2):
        bench.clock.advance(bench.policy.lease_ms // 2)
        bench.commands.sweep()


def lose(bench: Bench, executor_id: str = "executor-1") -> Attempt:
    """Submit a job, claim it and let its lease end. Return the lost attempt."""
    attempt = start(bench, executor_id)
    let_leases_end(bench)
    return attempt


def status_of(bench: Bench, job_id: str) -> Status:
    """Return the status of a job."""
    return bench.queries.get(job_id).status

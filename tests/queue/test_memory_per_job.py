"""How many bytes a job takes in Redis: what bounds a queue is memory, long before time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jobqueue.job import Measured, NewJob, Priority, Reason, Spec
from jobqueue.result import Holder, Result
from tests.support.bench import SHA256, Bench

PENDING, ENDED = 6000, 1000
"""How many jobs are measured. Submitting them is fast, running them is not."""

TOLERANCE = 1.03
"""The tables of Redis double now and then, so the bytes per job differ by a few percent with the number of jobs."""

REFERENCE = Spec("https://example.com/binary", SHA256, ["arg1", "arg2"], {"KEY1": "value1", "KEY2": "value2"})
LONG_URL = Spec(f"https://example.com/{'p' * 180}", SHA256, ["arg1", "arg2"], {"KEY1": "value1", "KEY2": "value2"})
EXECUTOR = "worker-1-abc123"
STARTED_MS = 1_700_000_000_123
RESULT = Result(
    0,
    "Job output...\n",
    reason=Reason.EXITED,
    measured=Measured(
        None, 14, 0, False, False, 0.001234, 0.000813, 1_630_208, STARTED_MS, STARTED_MS + 22, STARTED_MS + 26
    ),
)


def used_bytes(bench: Bench) -> int:
    """The memory of the server, without what its connections hold for the moment."""
    memory, stats = bench.client.info("memory"), bench.client.memory_stats()
    return int(memory["used_memory"]) - int(stats["clients.normal"])


def bytes_per_job(bench: Bench, count: int, fill: Callable[[int], object]) -> float:
    """Return how much memory each job takes when this makes so many of them."""
    fill(1)  # loads the scripts, and makes the keys that all jobs share
    before = used_bytes(bench)
    fill(count)
    return (used_bytes(bench) - before) / count


@pytest.mark.parametrize(("spec", "limit"), [(REFERENCE, 800), (LONG_URL, 1000)], ids=["reference", "long URL"])
def test_a_pending_job_is_small(real_bench: Bench, spec: Spec, limit: int) -> None:
    job = NewJob("data-processing", Priority.BACKGROUND, spec)

    def submit(count: int) -> None:
        real_bench.commands.submit([job] * count)

    assert bytes_per_job(real_bench, PENDING, submit) <= limit * TOLERANCE


def test_a_job_that_ended_with_a_small_output_is_small(real_bench: Bench) -> None:
    def run_jobs(count: int) -> None:
        real_bench.commands.submit([NewJob("data-processing", Priority.BACKGROUND, REFERENCE)] * count)
        for _ in range(count):
            claimed = real_bench.claims.claim(EXECUTOR, "192.168.1.100")
            assert claimed is not None
            real_bench.claims.complete(claimed.job.id, Holder(EXECUTOR, claimed.attempt_token), RESULT)

    assert bytes_per_job(real_bench, ENDED, run_jobs) <= 1100 * TOLERANCE

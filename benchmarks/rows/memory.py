"""Bytes of Redis per job: pending with two payloads, and ended with a small output."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.clients.in_process import Api
from benchmarks.clients.requests import REFERENCE
from benchmarks.figures import number
from benchmarks.outcome import Effort, Group, at_most
from benchmarks.rig.store import Store, running_store

PENDING, LONG_URL, ENDED = 800, 1_000, 1_100
URL = "https://example.com/programs/" + "p" * 171
SETTLE_SECONDS = 1.2
AT_ONCE = 1_000
RESULT: dict[str, Any] = {
    "stdout": "done\n",
    "stderr": "",
    "exit_code": 0,
    "reason": "exited",
    "stdout_bytes": 5,
    "stderr_bytes": 0,
    "user_cpu_seconds": 0.001,
    "system_cpu_seconds": 0.002,
    "peak_memory_bytes": 12_345_678,
}
"""What the worker reports of a small program, besides the times."""


def measure(effort: Effort, folder: Path) -> Group:
    """Measure the three kinds one after another, each in an empty store."""
    many, few = effort.of(20_000, 1_000), effort.of(5_000, 1_000)
    with running_store(folder) as store:
        api = Api(store)
        api.send("GET", "/admin/stats")  # connections and caches of scripts are there before anything is counted
        reference = _bytes_per_job(store, many, lambda: submit(api, REFERENCE, many))
        long_url = _bytes_per_job(store, many, lambda: submit(api, REFERENCE | {"binary_url": URL}, many))
        ended = _bytes_per_job(store, few, lambda: run_all(api, few))
    assert len(URL) == 200
    return Group(
        [
            at_most("bytes in Redis, pending, reference payload", number(reference), reference, PENDING),
            at_most("bytes in Redis, pending, URL of 200 characters", number(long_url), long_url, LONG_URL),
            at_most("bytes in Redis, ended, small output", number(ended), ended, ENDED),
        ]
    )


def _bytes_per_job(store: Store, count: int, fill: Any) -> float:
    store.client.flushall()
    time.sleep(SETTLE_SECONDS)  # what waits for the append-only file counts as used
    before = store.used_bytes()
    fill()
    time.sleep(SETTLE_SECONDS)
    return (store.used_bytes() - before) / count


def submit(api: Api, job: dict[str, Any], count: int) -> None:
    """Submit a job so many times."""
    for _ in range(count // AT_ONCE):
        api.send("POST", "/jobs/bulk", [job] * AT_ONCE)


def run_all(api: Api, count: int) -> None:
    """Submit, claim and complete so many jobs, as the worker reports them."""
    submit(api, REFERENCE, count)
    for _ in range(count):
        job = api.send("POST", "/jobs/claim", {"executor_id": "worker-1-abc123"}).get_json()
        now_ms = int(time.time() * 1000)
        times = ("download_started_at_ms", "program_started_at_ms", "program_ended_at_ms")
        body = RESULT | dict.fromkeys(times, now_ms)
        holder = {"executor_id": "worker-1-abc123", "attempt_token": job["attempt_token"]}
        api.send("PUT", f"/jobs/{job['id']}/complete", body | holder)

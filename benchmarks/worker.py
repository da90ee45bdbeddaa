"""Measures what a job costs on its worker without HTTP: workspace, program from the cache, run, report.

`python -m benchmarks.worker` runs `/bin/true` through one slot again and again, and prints the time per run at each
isolation level that this host supports. It prints the memory of the worker and of the slot before and after, and does
so for 10,000 runs in the end.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from jobqueue import logs
from jobqueue.client.claims import ClaimedJob, Claims
from jobqueue.worker.attempts.attempt import Attempt, StopPolicy
from jobqueue.worker.attempts.delivery import Delivery
from jobqueue.worker.attempts.environment import shared_variables
from jobqueue.worker.attempts.runner import Resources, Runner
from jobqueue.worker.attempts.spool import Spool
from jobqueue.worker.isolation import levels
from jobqueue.worker.isolation.levels import FIRST_UID
from jobqueue.worker.programs.cache import Cache
from jobqueue.worker.programs.policy import DownloadRules
from jobqueue.worker.shutdown import Shutdown
from jobqueue.worker.slots.children import Children
from jobqueue.worker.slots.selftest import problem_with_level
from jobqueue.worker.slots.slot import Slot
from jobqueue.worker.slots.workspace import Workspaces

PROGRAM = Path("/bin/true")
WARM_UP, RUNS, MANY = 20, 300, 10_000
OPEN_FILES = 4096


class NoApi(Claims):
    """An API that accepts every report at once, without a network."""

    def __init__(self) -> None:
        self.verbs: list[str] = []

    def report(self, job_id: str, verb: str, body: object, within_seconds: float = 0) -> None:  # noqa: ARG002
        """Remember the kind of report."""
        self.verbs.append(verb)

    def holder(self, job: ClaimedJob) -> dict[str, object]:
        """Return the fields that name the holder of the lease."""
        return {"executor_id": "benchmark", "attempt_token": job.attempt_token}

    def close(self) -> None:
        """Do nothing: no connection is open."""


def main() -> None:
    """Measure and print."""
    with open(os.devnull, "w") as nowhere:
        logs.configure(nowhere)
        _measure_all()


def _measure_all() -> None:
    with tempfile.TemporaryDirectory(prefix="jobqueue.benchmark.") as folder:
        os.chmod(folder, 0o711)
        for level in levels.LEVELS:
            with closing(Workspaces(Children(), Path(folder))) as workspaces:
                why_not = problem_with_level(level, workspaces, FIRST_UID, OPEN_FILES)
            if why_not:
                print(f"{level:10} {why_not}")
            else:
                _measure(level, Path(folder), RUNS)
        _measure("none", Path(folder), MANY)


def _measure(level: str, folder: Path, runs: int) -> None:
    confined = levels.make(level, [])
    confined.reserve()
    api = NoApi()
    spool = Spool(folder, "benchmark")
    delivery = Delivery(spool, lambda: api)
    delivery.start()
    children = Children()
    with closing(Workspaces(children, folder)) as workspaces, closing(Slot(children, confined, OPEN_FILES)) as slot:
        resources = Resources(
            connect=lambda: api,
            programs=_stocked_cache(folder / "cache"),
            workspaces=workspaces,
            spool=spool,
            delivery=delivery,
            shutdown=Shutdown(),
            stop_policy=StopPolicy(may_outlive_lease=False, kill_grace_seconds=10),
            variables=shared_variables({}, ()),
            job_timeout_seconds=None,
        )
        runner = Runner(resources)
        make = _attempt_maker(runner, slot)
        for _ in range(WARM_UP):
            make()
        before = _memory_kb(os.getpid()), _memory_kb(slot.supervisor_pid)
        times = sorted(_timed(make) for _ in range(runs))
        after = _memory_kb(os.getpid()), _memory_kb(slot.supervisor_pid)
    delivery.close(1)
    if set(api.verbs) != {"complete"}:
        raise SystemExit(f"{level}: not every run was completed")
    median, p99 = statistics.median(times) * 1000, times[int(len(times) * 0.99)] * 1000
    print(
        f"{level:10} {runs:6} runs: median {median:.2f} ms, p99 {p99:.2f} ms; "
        f"worker {before[0]} -> {after[0]} kB, slot {before[1]} -> {after[1]} kB"
    )


def _stocked_cache(directory: Path) -> Cache:
    """Return a cache that holds the program."""
    digest = hashlib.sha256(PROGRAM.read_bytes()).hexdigest()
    cache = Cache(directory, 1 << 30, DownloadRules())
    entry = directory / digest[:2] / digest
    entry.parent.mkdir(mode=0o700, exist_ok=True)
    entry.write_bytes(PROGRAM.read_bytes())
    return cache


def _attempt_maker(runner: Runner, slot: Slot) -> Callable[[], None]:
    digest = hashlib.sha256(PROGRAM.read_bytes()).hexdigest()

    def make() -> None:
        job = ClaimedJob("job", "http://127.0.0.1:1/true", digest, [], {}, "token", 60_000)
        runner.run(Attempt(job, slot))

    return make


def _timed(call: Callable[[], None]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _memory_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


if __name__ == "__main__":
    main()

"""The phases of a run, and its report."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.fault_run.clients import Client, execute_carelessly, probe, submit
from tests.fault_run.faults import OF_EXECUTORS, OF_STORE_AND_SERVERS, inject
from tests.fault_run.history import History
from tests.fault_run.stage import SERVERS, Stage
from tests.fault_run.verdict import breaches, summary
from tests.support.waiting import wait_until

SUBMITTERS = 2
CARELESS_EXECUTORS = 2
DRAIN_SECONDS = 240.0
SHOWN = 5
"""How many broken promises of each kind are printed."""


def run(folder: Path, seconds: float, seed: int) -> int:
    """Run everything, inject faults for so long, heal, drain, check. Return the exit code: 1 for a broken promise."""
    with Stage(folder, History()) as stage:
        probes_over = threading.Event()
        probes = [_thread(probe, stage, number, probes_over) for number in range(SERVERS)]
        clients = [
            _thread(inject, OF_STORE_AND_SERVERS, stage, random.Random(f"{seed} store")),
            _thread(inject, OF_EXECUTORS, stage, random.Random(f"{seed} executors")),
        ]
        clients += [_thread(submit, stage, random.Random(f"{seed} submit {each}")) for each in range(SUBMITTERS)]
        careless = [f"careless-{number}" for number in range(CARELESS_EXECUTORS)]
        clients += [_thread(execute_carelessly, stage, random.Random(f"{seed} {name}"), name) for name in careless]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            stage.pause(0.5)
            stage.look_after()
        stage.over.set()
        for client in clients:
            client.join()
        _drain(stage)
        probes_over.set()
        for each in probes:
            each.join()
        jobs = _read(stage)
        for line in summary(stage, jobs):
            print(line)
        broken = breaches(stage, jobs)
        for kind, sentences in groupby(sorted(broken), key=lambda sentence: sentence.split(":")[0]):
            of_kind = [*sentences]
            print(f"BROKEN {len(of_kind)} times: {kind}", *of_kind[:SHOWN], sep="\n  ")
        print(f"{len(broken)} promises broken (seed {seed})")
        return 1 if broken else 0


def _thread(target: Callable[..., object], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=target, args=arguments, daemon=True)
    thread.start()
    return thread


def _drain(stage: Stage) -> None:
    """Wait until all jobs have ended. Those that have not in time are found by the verdict."""
    client, begun = Client(stage), time.monotonic()

    def all_have_ended() -> bool:
        stage.look_after()
        counts = [client.call("stats", server, "GET", "/admin/stats")[1] or {} for server in range(SERVERS)]
        by_status = [each.get("jobs_by_status", {}) for each in counts]
        return all(each.get("pending") == each.get("running") == 0 for each in by_status)

    with suppress(AssertionError):
        wait_until("all jobs have ended", all_have_ended, DRAIN_SECONDS)
    print(f"drained within {time.monotonic() - begun:.1f} s, of at most {DRAIN_SECONDS:g}")


def _read(stage: Stage) -> dict[str, dict[str, Any]]:
    client, jobs = Client(stage), {}
    for job_id in stage.history.submitted:
        status, job = client.call("list", 0, "GET", f"/jobs/{job_id}")
        if status == 200:
            jobs[job_id] = job
    return jobs


def main() -> int:
    """Read the arguments and run. The logs stay in the folder that is printed when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.fault_run", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long faults are injected")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="decides about faults and jobs")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="jobqueue-fault-run-"))
    print(f"logs in {folder}, seed {options.seed}")
    code = run(folder, options.minutes * 60, options.seed)
    if code == 0:
        shutil.rmtree(folder, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())

"""From submit to the first instruction of a job, on an idle worker whose cache has the program; beside other queues.

The time is read right before the request is sent, and by the program, which is written in C, as the first thing that it
does. Both read the monotonic clock of the machine. Samples of all queues alternate.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.figures import number, percentile
from benchmarks.outcome import Bar, Effort, Group, Outcome, at_most, skipped
from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.session import Session, session
from benchmarks.rig.children import DidNotHappen
from benchmarks.rig.deployment import Deployment, deployed
from benchmarks.rig.programs import CLOCK, compiled, compiler, padded
from benchmarks.rig.worker import running_worker

OURS = "jobqueue"
PANEL = "Milliseconds from submit to the first instruction, median, idle worker"
P50, P99, LARGE_P50 = 6, 20, 15
NAMES = (
    "submit → first instruction, p50",
    "submit → first instruction, p99",
    "submit → first instruction, p50 beside Celery (by subprocess)",
    "submit → first instruction, program of 100 MB, p50",
)
WARM_UP = 5
SAMPLES, FEWER_SAMPLES, FEW_PEERS = 300, 200, 2
"""With many peers there are fewer samples of each, so that a run takes ten minutes."""

LARGE_BYTES = 100 * 1024 * 1024
PAUSE_SECONDS = (0.05, 0.25)
END_SECONDS = 30.0


def measure(effort: Effort, folder: Path) -> Group:
    """Take a sample of each queue in turn; then samples of ours with a large program."""
    if not compiler():
        return Group([skipped(name, "", "There is no C compiler here (cc, gcc or clang).") for name in NAMES])
    program = compiled(CLOCK, folder, "clock")
    samples: dict[str, list[float]] = {}
    with ExitStack() as stack:
        ours = stack.enter_context(deployed(folder))
        takers = {OURS: ours_taker(ours, ours.host.job(program))}
        for key in effort.peers:
            peer, worker = stack.enter_context(session(key, folder))
            stack.enter_context(worker.running())
            takers[PEERS[key].name] = _peer_taker(peer, program)
        stack.enter_context(running_worker(ours.server, folder, 2))
        take_samples(takers, WARM_UP, {})
        take_samples(takers, effort.of(SAMPLES if len(effort.peers) <= FEW_PEERS else FEWER_SAMPLES, 10), samples)
        large = padded(program, folder, "large", effort.of(LARGE_BYTES, 1 << 20))
        large_samples: dict[str, list[float]] = {}
        takers = {OURS: ours_taker(ours, ours.host.job(large))}
        take_samples(takers, WARM_UP, {})
        take_samples(takers, effort.of(60, 5), large_samples)
    return Group(
        [
            _outcome(NAMES[0], samples[OURS], 0.5, P50),
            _outcome(NAMES[1], samples[OURS], 0.99, P99),
            _beside_celery(NAMES[2], samples),
            _outcome(NAMES[3], large_samples[OURS], 0.5, LARGE_P50),
        ],
        [Bar(PANEL, name, round(percentile(values, 0.5).value, 1)) for name, values in samples.items()],
        [_all(samples)],
    )


def take_samples(takers: dict[str, Callable[[], float]], count: int, samples: dict[str, list[float]]) -> None:
    """Take so many samples of each queue, in turn; add them in milliseconds."""
    for _ in range(count):
        for name, take in takers.items():
            samples.setdefault(name, []).append(take())
            time.sleep(random.uniform(*PAUSE_SECONDS))


def ours_taker(ours: Deployment, job: dict[str, Any]) -> Callable[[], float]:
    """Return a function that runs this job and returns how long it took to begin, in milliseconds."""
    body = json.dumps(job).encode()

    def take() -> float:
        sent_at = time.monotonic_ns()
        job_id = ours.api.send("POST", "/jobs", body).json()["id"]
        deadline = time.monotonic() + END_SECONDS
        while True:
            # Nobody asks for the job while it is about to begin: that would slow it down.
            time.sleep(PAUSE_SECONDS[0])
            found = ours.api.call("GET", f"/jobs/{job_id}")
            if found["status"] == "completed":
                return (int(found["stdout"]) - sent_at) / 1e6
            if found["status"] == "failed" or time.monotonic() > deadline:
                raise DidNotHappen(f"a job is {found['status']}: {found['reason']}, {found['error_message']}")

    return take


def _peer_taker(peer: Session, program: Path) -> Callable[[], float]:
    taken = 0

    def take() -> float:
        nonlocal taken
        sent_at = peer.send(1, program)
        taken += 1
        return (int(peer.wait_for(taken)[-1][1]) - sent_at) / 1e6

    return take


def _outcome(name: str, samples: list[float], share: float, bound: float) -> Outcome:
    found = percentile(samples, share)
    return at_most(name, f"{number(found.value, 1)} ms ({found.label})", found.value, bound, " ms")


def _beside_celery(name: str, samples: dict[str, list[float]]) -> Outcome:
    if PEERS["celery"].name not in samples:
        return skipped(name, "ahead", "`make bench-peers` installs Celery and compares.")
    ours, theirs = (percentile(samples[each], 0.5).value for each in (OURS, PEERS["celery"].name))
    return Outcome(name, f"Celery {number(theirs, 1)} ms", "ahead", ours < theirs, share=ours / theirs)


def _all(samples: dict[str, list[float]]) -> str:
    """Return a sentence with the percentiles of all."""
    each = []
    for name, values in samples.items():
        middle, tail = percentile(values, 0.5), percentile(values, 0.99)
        each.append(f"{name} {number(middle.value, 1)} ({middle.label}), {number(tail.value, 1)} ({tail.label})")
    return "Submit → first instruction in ms: " + "; ".join(each) + "."

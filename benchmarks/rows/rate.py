"""Jobs per second from end to end: /bin/true with two slots and with eight, beside other queues; jobs that sleep.

All jobs are queued before the worker starts. The rate is that from the 100th end to the last, by the clock of Redis for
ours, by that of the task for the others.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figures import number, paired_ratios, rate_between, spread
from benchmarks.outcome import Bar, Effort, Group, Outcome, at_least
from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.session import Session, Worker, session
from benchmarks.rig.children import DidNotHappen
from benchmarks.rig.deployment import Deployment, deployed
from benchmarks.rig.programs import SLEEP, TRUE
from benchmarks.rig.usage import cpu_seconds
from benchmarks.rig.worker import running_worker

OURS, EIGHT = "jobqueue", "jobqueue with eight slots"
PANEL = "Jobs per second from end to end: /bin/true, two at once"
BOUND, SLEEP_BOUND, SAME = 600, 145, 0.97
MUST_BEAT = ("dramatiq", "celery")
SLEEP_SECONDS = "0.05"


def measure(effort: Effort, folder: Path) -> Group:
    """Measure in turns: ours with two slots, each peer, ours with eight slots."""
    jobs, turns, first = effort.of(2000, 120), effort.of(3, 1), effort.of(100, 20)
    rates: dict[str, list[float]] = {}
    costs: list[str] = []
    with ExitStack() as stack:
        ours = stack.enter_context(deployed(folder))
        true = ours.host.job(TRUE)
        sessions = {key: stack.enter_context(session(key, folder)) for key in effort.peers}
        runs: dict[str, Callable[[], tuple[float, str]]] = {OURS: lambda: run_ours(ours, true, (jobs, first), 2)}
        for key, (peer, worker) in sessions.items():
            runs[PEERS[key].name] = _peer_run(peer, worker, jobs, first)
        runs[EIGHT] = lambda: run_ours(ours, true, (jobs, first), 8)
        for _ in range(turns):
            _turn(runs, rates, costs, effort)
        sleeping = ours.host.job(SLEEP, SLEEP_SECONDS)
        slept = [run_ours(ours, sleeping, (effort.of(800, 80), first), 8)[0] for _ in range(effort.of(2, 1))]
    return Group(
        [
            at_least(
                "`/bin/true`, one worker with two slots", spread(rates[OURS]), median(rates[OURS]), BOUND, " jobs/s"
            ),
            _beside_peers(rates),
            _eight(rates),
            at_least("jobs that sleep 50 ms, eight slots", spread(slept), median(slept), SLEEP_BOUND, " jobs/s"),
        ],
        [Bar(PANEL, name, round(median(values))) for name, values in rates.items() if name != EIGHT],
        [f"CPU per `/bin/true` (median turn): {costs[len(costs) // 2]}."],
    )


def _turn(
    runs: dict[str, Callable[[], tuple[float, str]]],
    rates: dict[str, list[float]],
    costs: list[str],
    effort: Effort,
) -> None:
    """Run all of them once. A peer that does not get done is left out from now on."""
    for name, run in [*runs.items()]:
        try:
            rate, cost = run()
        except DidNotHappen as error:
            if name in (OURS, EIGHT):
                raise
            effort.say(f"{name} is left out: {error}")
            runs.pop(name)
            rates.pop(name, None)
            continue
        rates.setdefault(name, []).append(rate)
        costs.extend([cost] if name == OURS else [])
        effort.say(f"{name}: {rate:.0f} jobs/s {cost}")


def run_ours(ours: Deployment, job: dict[str, Any], counts: tuple[int, int], slots: int) -> tuple[float, str]:
    """Run so many jobs; return the rate from the `first`th of them on, and what a job cost."""
    count, first = counts
    ours.queue(job, count)
    with running_worker(ours.server, ours.folder, slots) as worker:
        ours.wait_for(first)
        before = (cpu_seconds(worker.pid), *ours.cpu_seconds())
        ours.wait_for(count)
        after = (cpu_seconds(worker.pid), *ours.cpu_seconds())
    each = [(end - start) * 1000 / (count - first) for start, end in zip(before, after, strict=True)]
    cost = f"worker with programs {each[0]:.1f} ms, server {each[1]:.1f} ms, Redis {each[2]:.1f} ms"
    return rate_between(ours.ended_at(), first), cost


def _peer_run(peer: Session, worker: Worker, count: int, first: int) -> Callable[[], tuple[float, str]]:
    done = 0

    def run() -> tuple[float, str]:
        nonlocal done
        peer.send(count, TRUE)
        with worker.running():
            lines = peer.wait_for(done + count)[done:]
        done += count
        return rate_between([int(line[0]) / 1e9 for line in lines], first), ""

    return run


def _beside_peers(rates: dict[str, list[float]]) -> Outcome:
    measure, bound = "`/bin/true` beside Dramatiq and Celery (by subprocess)", "ahead of both"
    present = [PEERS[key].name for key in MUST_BEAT if PEERS[key].name in rates]
    if len(present) < len(MUST_BEAT):
        return Outcome(measure, "not measured", bound, None, "`make bench-peers` installs them and compares.")
    ratios = {name: median(paired_ratios(rates[OURS], rates[name])) for name in present}
    measured = ", ".join(f"{number(median(rates[name]))} {name} (x{ratio:.2f})" for name, ratio in ratios.items())
    return Outcome(measure, measured, bound, min(ratios.values()) > 1, share=1 / min(ratios.values()))


def _eight(rates: dict[str, list[float]]) -> Outcome:
    ratio = median(paired_ratios(rates[EIGHT], rates[OURS]))
    measured = f"{spread(rates[EIGHT])}, x{ratio:.2f}"
    detail = "Turns differ by 3 % without any reason, so that counts as equal."
    return Outcome(
        "`/bin/true`, eight slots", measured, "not slower than with two", ratio >= SAME, detail, SAME / ratio
    )

"""Claims, lists, stats and metrics at a million pending jobs beside a thousand, on two stores, in turns.

What is compared is the time inside Redis (commandstats), except for stats and metrics, where the whole request counts.
The jobs are of three types and three priorities.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.clients.in_process import Api, Cost
from benchmarks.clients.requests import REFERENCE
from benchmarks.figures import number, paired_ratios, spread
from benchmarks.outcome import Effort, Group, Outcome, at_most, skipped
from benchmarks.rig.calls import submit_call
from benchmarks.rig.store import Store, running_store
from jobqueue.job import Priority, Status

FEW, MANY = 1_000, 1_000_000
NEEDED_BYTES = 2_500_000_000
SAME_TIME, LIST_RATIO, LIST_MS, LONG_LIST_MS = 1.2, 2.0, 20, 60
PAGE, LONG_PAGE = 100, 1_000
TYPES = 3
TAKEN = 150
NAMES = (
    "claim + finish in Redis, 1,000,000 pending against 1,000",
    "lists of 100 rows in Redis, 1,000,000 against 1,000",
    "slowest list of 100 rows at 1,000,000, in Redis",
    "slowest list of 1,000 rows at 1,000,000, in Redis",
    "stats at 1,000,000 against 1,000",
    "metrics at 1,000,000 against 1,000",
)


def measure(effort: Effort, folder: Path) -> Group:
    """Fill two stores, then measure on both in turns."""
    many = effort.of(MANY, 5_000)
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if many == MANY and free < NEEDED_BYTES:
        return Group([skipped(name, "", "It needs 2.5 GB of free memory.") for name in NAMES])
    with ExitStack() as stack:
        stores = [stack.enter_context(running_store(folder, name)) for name in ("few", "many")]
        for store, count in zip(stores, (FEW, many), strict=True):
            fill(store, count)
        effort.say(f"filled: {stores[1].used_bytes() / many:.0f} bytes per job at {many:,}")
        few, lots = (Api(store) for store in stores)
        claims, note = _claims(few, lots, effort)
        return Group(
            [claims, *_lists(few, lots, effort), *(_counts(few, lots, effort, *each) for each in _paths())],
            notes=[note, f"At {many:,} pending jobs Redis uses {stores[1].used_bytes() / many:.0f} bytes per job."],
        )


def fill(store: Store, count: int) -> None:
    """Submit so many jobs, a thousand in each script call."""
    # A rewrite of the append-only file forks the server, and what it writes then costs more.
    store.client.config_set("auto-aof-rewrite-percentage", 0)
    call = submit_call([_job(index) for index in range(FEW)])
    store.client.script_load(call.script.text)
    for _ in range(count // FEW // 4 or 1):
        pipeline = store.client.pipeline(transaction=False)
        for _ in range(min(4, count // FEW)):
            pipeline.evalsha(*call.again())
        pipeline.execute()


def _job(index: int) -> dict[str, Any]:
    priorities = [*Priority]
    return REFERENCE | {"type": f"type-{index % TYPES}", "priority": str(priorities[index // TYPES % len(priorities)])}


def _claims(few: Api, many: Api, effort: Effort) -> tuple[Outcome, str]:
    """Claim and complete jobs on both, in turns. As many are submitted again as were taken."""
    times: dict[str, list[float]] = {}
    for _ in range(effort.of(7, 1)):
        for name, api in (("few", few), ("many", many)):
            claim, finish = _take(api, effort.of(TAKEN, 20))
            for verb, value in (("claim", claim), ("finish", finish), ("both", claim + finish)):
                times.setdefault(f"{verb} {name}", []).append(value)
    ratios = {verb: paired_ratios(times[f"{verb} many"], times[f"{verb} few"]) for verb in ("claim", "finish", "both")}
    measured = f"x{spread(ratios['both'], 2)}"
    middle = {name: median(values) for name, values in times.items()}
    parts = ", ".join(
        f"{verb} {middle[f'{verb} few']:.0f} → {middle[f'{verb} many']:.0f} µs (x{median(ratios[verb]):.2f})"
        for verb in ("claim", "finish")
    )
    return at_most(NAMES[0], measured, median(ratios["both"]), SAME_TIME), f"In Redis: {parts}."


def _take(api: Api, count: int) -> tuple[float, float]:
    """Return the median microseconds in Redis of a claim and of a complete."""
    claims, finishes, jobs = [], [], []
    for _ in range(count):
        answer, cost = api.cost("POST", "/jobs/claim", {"executor_id": "benchmark"})
        claims.append(cost.in_redis)
        jobs.append(answer.get_json())
    for job in jobs:
        body = {"executor_id": "benchmark", "attempt_token": job["attempt_token"], "exit_code": 0, "stdout": "done\n"}
        _, cost = api.cost("PUT", f"/jobs/{job['id']}/complete", body)
        finishes.append(cost.in_redis)
    again = [{key: job[key] for key in REFERENCE if key != "priority"} | {"priority": job["priority"]} for job in jobs]
    api.send("POST", "/jobs/bulk", again)
    return median(claims), median(finishes)


@dataclass(frozen=True)
class _Listed:
    """A list on both stores: the query, the microseconds in Redis, and whether both pages were full."""

    query: str
    few: float
    many: float
    full: bool


def _lists(few: Api, many: Api, effort: Effort) -> Iterator[Outcome]:
    short = [*_listed(few, many, PAGE, effort.of(5, 1))]
    long = [*_listed(few, many, LONG_PAGE, effort.of(3, 1))]
    full = [each for each in short if each.full]
    worst = max(full, key=lambda each: each.many / each.few)
    ratio = worst.many / worst.few
    middle = median(each.many / each.few for each in full)
    measured = f"at most x{ratio:.2f} (`{worst.query}`), median x{middle:.2f}, of {len(full)} lists"
    yield at_most(NAMES[1], measured, ratio, LIST_RATIO)
    for name, lists, bound in ((NAMES[2], short, LIST_MS), (NAMES[3], long, LONG_LIST_MS)):
        slowest = max(lists, key=lambda each: each.many)
        yield at_most(name, f"{slowest.many / 1000:.1f} ms (`{slowest.query}`)", slowest.many / 1000, bound, " ms")


def _listed(few: Api, many: Api, limit: int, times: int) -> Iterator[_Listed]:
    """Yield every combination of filters with the first, the middle and the last page of each."""
    for status, priority, kind in itertools.product((None, *Status), (None, *Priority), (None, "type-0")):
        filters = {"status": status, "priority": priority, "type": kind}
        query = "&".join(f"{name}={value}" for name, value in filters.items() if value)
        totals = [int(api.send("GET", f"/jobs?{query}&limit=1").headers["X-Total-Count"]) for api in (few, many)]
        if not all(totals):
            continue
        last = [max(0, total - limit) for total in totals]
        for place, offsets in {"first": (0, 0), "middle": [each // 2 for each in last], "last": last}.items():
            costs: list[tuple[Cost, Cost]] = []
            for _ in range(times):
                one, other = (
                    api.cost("GET", f"/jobs?{query}&limit={limit}&offset={offset}")[1]
                    for api, offset in zip((few, many), offsets, strict=True)
                )
                costs.append((one, other))
            of_few, of_many = (median(pair[side].in_redis for pair in costs) for side in (0, 1))
            yield _Listed(f"{query or 'all'}, {place} page", of_few, of_many, min(totals) >= limit)


def _paths() -> list[tuple[str, str]]:
    return [(NAMES[4], "/admin/stats"), (NAMES[5], "/metrics")]


def _counts(few: Api, many: Api, effort: Effort, name: str, path: str) -> Outcome:
    """Compare a request that counts. Its whole time counts here, as most of it is not in scripts."""
    costs = [(few.cost("GET", path)[1], many.cost("GET", path)[1]) for _ in range(effort.of(60, 3))]
    whole = [median(pair[side].whole for pair in costs) for side in (0, 1)]
    inside = [median(pair[side].in_redis for pair in costs) for side in (0, 1)]
    ratio = max(whole[1] / whole[0], inside[1] / inside[0])
    measured = (
        f"x{whole[1] / whole[0]:.2f} ({number(whole[0])} → {number(whole[1])} µs), "
        f"in Redis x{inside[1] / inside[0]:.2f} ({number(inside[0])} → {number(inside[1])} µs)"
    )
    return at_most(name, measured, ratio, SAME_TIME)

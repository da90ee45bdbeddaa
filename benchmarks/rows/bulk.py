"""Bulk submits of 1,000 and of 10,000 jobs beside the same script calls in a bare pipeline, in turns."""

from __future__ import annotations

import json
import time
from pathlib import Path
from statistics import median

import redis

from benchmarks.clients.requests import REFERENCE
from benchmarks.figures import number, paired_ratios, spread
from benchmarks.outcome import Effort, Group, Outcome, skipped
from benchmarks.rig.calls import SubmitCall, submit_call
from benchmarks.rig.deployment import Deployment, deployed

BOUND, OF_THE_PIPELINE = 10_000, 0.8
SIZES = (1_000, 10_000)


def measure(effort: Effort, folder: Path) -> Group:
    """Measure both sizes."""
    with deployed(folder) as deployment:
        sizes = SIZES[: effort.of(2, 1)]
        pairs = [_size(deployment, size, effort.of(8 if size == SIZES[0] else 4, 1)) for size in sizes]
    return Group([outcome for outcome, _ in pairs], notes=[note for _, note in pairs if note])


def _size(deployment: Deployment, size: int, turns: int) -> tuple[Outcome, str]:
    name = f"bulk submit of {number(size)}"
    bound = f"at least {number(BOUND)} jobs/s, or {OF_THE_PIPELINE} of the pipeline"
    body = json.dumps([REFERENCE] * size).encode()
    answer = deployment.api.send("POST", "/jobs/bulk", body)
    if answer.status != 201:
        return skipped(name, bound, f"The API refuses it with {answer.status}."), ""
    one, whole = submit_call([REFERENCE]), submit_call([REFERENCE] * min(size, 1000))
    rates: dict[str, list[float]] = {"ours": [], "pipeline": [], "whole": []}
    for _ in range(turns):
        rates["ours"].append(size / _seconds_of_request(deployment, body))
        rates["pipeline"].append(size / _seconds_of_pipeline(deployment, one, size))
        rates["whole"].append(size / _seconds_of_pipeline(deployment, whole, size // min(size, 1000)))
    ratio, ours = median(paired_ratios(rates["ours"], rates["pipeline"])), median(rates["ours"])
    measured = f"{spread(rates['ours'])} jobs/s, {ratio:.2f} of the pipeline"
    share = min(BOUND / ours, OF_THE_PIPELINE / ratio)
    note = (
        f"Bulk of {number(size)}: a pipeline of one script call per job makes {spread(rates['pipeline'])} jobs/s, one "
        f"of calls with a thousand jobs each {spread(rates['whole'])}."
    )
    return Outcome(name, measured, bound, share <= 1, share=share), note


def _seconds_of_request(deployment: Deployment, body: bytes) -> float:
    deployment.store.client.flushdb()
    started = time.perf_counter()
    answer = deployment.api.send("POST", "/jobs/bulk", body)
    seconds = time.perf_counter() - started
    assert answer.status == 201, answer.body[:300]
    return seconds


def _seconds_of_pipeline(deployment: Deployment, call: SubmitCall, count: int) -> float:
    """Return how long redis-py takes for so many calls. Their arguments are made before."""
    client: redis.Redis = deployment.store.client
    client.flushdb()
    client.script_load(call.script.text)
    pipeline = client.pipeline(transaction=False)
    for arguments in [call.again() for _ in range(count)]:
        pipeline.evalsha(*arguments)
    started = time.perf_counter()
    pipeline.execute()
    return time.perf_counter() - started

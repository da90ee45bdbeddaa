"""The measures, a module for each group of rows of the table.

rate: /bin/true from end to end, beside other queues; with eight slots; jobs that sleep.
start: from submit to the first instruction of a job, beside Celery; with a program of 100 MB.
submit: POST /jobs beside a bare route.
bulk: bulk submits beside a bare pipeline.
million: claims, lists and counts at a million pending jobs beside a thousand.
memory: bytes of Redis per job.
waiting: a thousand executors that wait for work.
slow_clients: clients that send half a request or read slowly.
idle: a worker without work.
outputs: jobs that write a megabyte to each of their outputs.
server_memory: the memory of the server over many requests.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from benchmarks.outcome import Effort, Group

NAMES = (
    "rate",
    "start",
    "submit",
    "bulk",
    "million",
    "memory",
    "waiting",
    "slow_clients",
    "idle",
    "outputs",
    "server_memory",
)
"""The groups, in the order in which they are measured."""

WITH_PEERS = ("rate", "start")
"""The groups that compare with other queues."""


def measure_of(name: str) -> Callable[[Effort, Path], Group]:
    """Return the function that measures a group. It gets an empty directory."""
    measure: Callable[[Effort, Path], Group] = import_module(f"{__name__}.{name}").measure
    return measure

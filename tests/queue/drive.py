"""Drives the machine through many runs of the queue, on the scripts of any folder."""

from __future__ import annotations

from pathlib import Path

import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from jobqueue.queue.connection import Connection
from jobqueue.queue.scripts import Scripts
from tests.queue.machine import Machine

SETTINGS = settings(
    max_examples=80,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
REPEATABLE = settings(
    SETTINGS, max_examples=200, derandomize=True, database=None, phases=[Phase.generate], print_blob=False
)
"""For seeded bugs: always the same moves, and no search for the shortest way to show the bug."""

PATIENT = settings(REPEATABLE, max_examples=600)
"""For those that show late."""


def drive(client: redis.Redis, folder: Path, how: settings) -> None:
    """Drive the scripts of a folder and their model; raises AssertionError where they disagree."""
    connection = Connection(client)
    scripts = Scripts(connection, folder=folder)

    class MachineHere(Machine):
        def __init__(self) -> None:
            super().__init__(connection, scripts)

    run_state_machine_as_test(MachineHere, settings=how)

"""Runs the state machine many times, on the scripts of any folder."""

from __future__ import annotations

from pathlib import Path

import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import FlakyFailure
from hypothesis.stateful import run_state_machine_as_test

from jobqueue.queue.connection import Connection
from jobqueue.queue.scripts import Scripts, assemble
from tests.queue.machine import STORIES, Machine
from tests.support.logins import administrator_of

SETTINGS = settings(
    max_examples=80,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
DETERMINISTIC = settings(
    SETTINGS, max_examples=200, derandomize=True, database=None, phases=[Phase.generate], print_blob=False
)
"""For seeded bugs: the same moves in every run, and no search for the shortest way to show the bug."""

LONGER = settings(DETERMINISTIC, max_examples=600)
"""For the bugs that show only after many runs."""


def connect_without_time_limit(url: str) -> redis.Redis:
    """Return a client that waits for every answer: in so many calls, a busy machine keeps one waiting for seconds."""
    return redis.Redis.from_url(url, decode_responses=True, protocol=2)


def drive(client: redis.Redis, folder: Path, how: settings) -> None:
    """Run the scripts of a folder beside their model. Raises AssertionError where they disagree."""
    store = administrator_of(client)
    # Of one batch, the reports whose scripts Redis does not know yet come last. The model knows no such order.
    for path in folder.glob("*.lua"):
        store.script_load(assemble(path))
    connection = Connection(client)
    scripts = Scripts(connection, folder=folder)

    class MachineHere(Machine):
        def __init__(self) -> None:
            super().__init__(store, scripts)

    for stages in STORIES:
        machine = MachineHere()
        machine.begin(stages=stages)
        machine.the_queue_agrees_with_its_model()
    try:
        run_state_machine_as_test(MachineHere, settings=how)
    except FlakyFailure as error:
        # The ids of jobs are new in every run. So where their order must not matter, but does, hypothesis may see the
        # two disagree once and not when it makes the same moves again.
        disagreements = error.subgroup(AssertionError)
        if disagreements is None:
            raise
        raise AssertionError("they disagree, but not in every run of these moves") from disagreements

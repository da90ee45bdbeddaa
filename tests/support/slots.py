"""Slots and children for tests. They spare the other child processes of the process that runs the tests."""

from __future__ import annotations

from jobqueue.worker.isolation import levels
from jobqueue.worker.isolation.levels import Isolation
from jobqueue.worker.slots.children import Children
from jobqueue.worker.slots.slot import Slot

OPEN_FILES = 4096


def sparing_children() -> Children:
    """Return children whose `kill_orphans` kills nobody."""
    return Children(kill=lambda _: None)


def open_slot(isolation: Isolation | None = None) -> Slot:
    """Return a new slot, without a sandbox unless there is an isolation. The caller has to close it."""
    return Slot(sparing_children(), isolation or levels.make("none", ()), OPEN_FILES)

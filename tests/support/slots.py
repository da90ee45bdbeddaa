"""Slots and children for tests. They spare the other child processes of the process that runs the tests."""

from __future__ import annotations

import threading

from jobqueue.worker.isolation import levels
from jobqueue.worker.isolation.levels import Isolation
from jobqueue.worker.slots.children import Children
from jobqueue.worker.slots.slot import Slot

OPEN_FILES = 4096
TIME_LIMIT_SECONDS = 20


def sparing_children() -> Children:
    """Return children whose `kill_orphans` kills nobody."""
    return Children(kill=lambda _: None)


def open_slot(isolation: Isolation | None = None) -> Slot:
    """Return a new slot, without a sandbox unless there is an isolation. The caller has to close it."""
    return Slot(sparing_children(), isolation or levels.make("none", ()), OPEN_FILES)


class HeldRun:
    """Holds up the thread of a run, which calls it with what its program prints, until the test lets it go on."""

    def __init__(self) -> None:
        self._shown, self._released = threading.Event(), threading.Event()

    def __call__(self, _: object) -> None:
        self._shown.set()
        assert self._released.wait(TIME_LIMIT_SECONDS)

    def wait_until_held(self) -> None:
        """Return as soon as the thread waits here."""
        assert self._shown.wait(TIME_LIMIT_SECONDS)

    def release(self) -> None:
        """Let the thread go on, now and whenever it comes here again."""
        self._released.set()

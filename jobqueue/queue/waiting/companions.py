"""A claim that waits goes to Redis together with the new job that it waits for: one round trip instead of two.

It is sent in the line's order, right behind the job, and is a claim like any other: whatever it gets is its own, even
if somebody else was faster with this job. Only if the exchange fails does it ask again for itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from jobqueue.errors import JobQueueError
from jobqueue.queue.scripts import Call, Reply, Scripts

Answer = Reply | JobQueueError


@dataclass(eq=False)
class Companion:
    """A claim on its way along with a job. `answer` is what it got, None if it has to ask again.

    number: the number of the latest notice when it was sent. land: gets its answer, and the text of the notice about
    the job. turn: which of those that go along it is. sent_at: when it was sent (monotonic).
    """

    call: Call
    number: int
    land: Callable[[Companion, Answer, str], None]
    turn: int = 0
    sent_at: float = field(default_factory=time.monotonic)
    answer: Answer = None
    landed: threading.Event = field(default_factory=threading.Event)


class Company(Protocol):
    """The claims that wait, as a submit sees them."""

    def companion_for(self, type: str) -> Companion | None:
        """Return the claim that is to be sent along with a job of this type; None if none may be."""


class NoCompany:
    """Stands for claims that nobody makes."""

    def companion_for(self, type: str) -> None:
        """Return None."""


def submit_along(scripts: Scripts, submit: Call, companion: Companion) -> Reply:
    """Store a job and make a claim in one round trip; return what `lua/submit.lua` has answered.

    Raises what `scripts.call` raises for the submit. The claim has its answer then, or asks again, and runs before this
    returns: the answer to the submitter is less urgent.
    """
    stored: Answer = None
    claimed: Answer = None
    try:
        stored, claimed = scripts.call_many([submit, companion.call])
    finally:
        companion.land(companion, claimed, _notice(stored))
    time.sleep(0)
    if isinstance(stored, JobQueueError):
        raise stored
    return stored


def _notice(stored: Answer) -> str:
    """Return the text of the notice that Redis sends about a stored job, "" if none was stored."""
    return str(stored[2]) if isinstance(stored, list) else ""

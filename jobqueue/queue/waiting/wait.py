"""A claim that waits: what it asks for, why it was woken, what it gets, and that its executor counts as asking."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from jobqueue.queue.scripts import Call
from jobqueue.queue.waiting.companions import Answer, Companion
from jobqueue.queue.waiting.line import Waiter
from jobqueue.queue.waiting.notices import Types

T = TypeVar("T")

PASSES = 1
"""How often a wake that found nothing is passed on."""

MAX_UNSEEN = 1000
"""Executors that have stopped waiting and are not noted as asking yet."""

LATE_SECONDS = 1.0
"""Whoever is woken so long after its wait was over, by a process that was stopped, claims nothing: its client has most
likely gone.
"""

ENDING_RETRY_SECONDS, FULL_RETRY_SECONDS = 1, 5


class Client(Protocol):
    """The client of a request. The HTTP server knows it; the queue only asks these questions."""

    def is_connected(self) -> bool:
        """Whether the client has not closed its connection, and may still ask for what it waits for."""

    def may_wait(self) -> bool:
        """Whether the server has room for another request that waits."""

    def waiting(self) -> AbstractContextManager[None]:
        """Let other requests run meanwhile, and leave the time out of the time limit of this one."""


class Along(Protocol):
    """How a claim is sent along with a new job, and what its answer means."""

    def call(self) -> Call:
        """Return the call of the script."""

    def read(self, answer: Answer) -> Attempt[Any]:
        """Return what it got. Raises the error that the claim was answered with."""


@dataclass(frozen=True)
class Wake:
    """Why a claim was woken: a notice for a type, or a look (None). `passes` is how often it may still be passed on."""

    type: str | None
    notice: str = ""
    passes: int = PASSES


@dataclass(frozen=True)
class Wait:
    """A claim that waits: whose it is, for which types (none: all), how long, and who asks.

    `asks_first`: whether it must claim before it waits, though nothing is known to be pending. `along`: how it is sent
    along with a new job, None if it cannot be.
    """

    executor_id: str
    types: Types
    seconds: float
    client: Client
    asks_first: bool = False
    along: Along | None = None


@dataclass(frozen=True)
class Attempt(Generic[T]):
    """What one claim got: its answer, the types of its jobs, and whether it was a replay, which ends a wait as well."""

    value: T
    types: Collection[str]
    replayed: bool = False


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What a claim got, or None; after how many seconds the executor should ask again, if it had to give way; and for
    how long the claim had waited before it asked for what it got.
    """

    found: T | None = None
    retry_after: int | None = None
    waited_seconds: float = 0.0


@dataclass(eq=False)
class Waiting(Waiter):
    """A claim that waits, from its first claim to its answer. `entry`: where other processes can read of it."""

    executor_id: str = field(kw_only=True)
    client: Client = field(kw_only=True)
    along: Along | None = None
    companion: Companion | None = None
    seen_at: float = 0.0
    woken: threading.Event = field(default_factory=threading.Event)
    wake: Wake | None = None
    failure: Exception | None = None
    gone: bool = False
    entry: int | None = None


class Asking:
    """Which executors count as asking for jobs, though they have not claimed anything for a while: they wait."""

    def __init__(self) -> None:
        self._unseen: dict[str, None] = {}

    def note_end(self, waiting: Waiting) -> None:
        """Note that a claim waits no longer. One that has never asked is still to be noted."""
        if not waiting.seen_at and len(self._unseen) < MAX_UNSEEN:
            self._unseen[waiting.executor_id] = None

    def take(self, claims: Iterable[Waiting], count: int, longest_seconds: float) -> tuple[list[str], list[Waiting]]:
        """Return at most `count` executors that wait, or have waited, and were last noted as asking so long ago; and
        those claims among them whose clients have gone.

        The executors count as noted from now on.
        """
        now = time.monotonic()
        asking, self._unseen = list(self._unseen), {}
        gone: list[Waiting] = []
        for each in [each for each in claims if now - each.seen_at > longest_seconds][:count]:
            if each.client.is_connected():
                each.seen_at = now
                asking.append(each.executor_id)
            else:
                gone.append(each)
        return asking, gone


def retry_after(is_ending: bool) -> int:
    """Return after how many seconds to ask again, for an executor that may not wait: the process ends, or is full."""
    return ENDING_RETRY_SECONDS if is_ending else FULL_RETRY_SECONDS

"""A claim that waits: what it asks for, why it was woken, and what it gets."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from jobqueue.queue.waiting.client import Client
from jobqueue.queue.waiting.line import Waiter
from jobqueue.queue.waiting.notices import Types

T = TypeVar("T")

PASSES = 1
"""How often a wake that found nothing is passed on."""

LATE_SECONDS = 1.0
"""Whoever is woken so long after its wait was over, by a process that was stopped, claims nothing: its client has most
likely gone.
"""

ENDING_RETRY_SECONDS, FULL_RETRY_SECONDS = 1, 5


@dataclass(frozen=True)
class Wake:
    """Why a claim was woken: a notice for a type, or a look (None). `passes` is how often it may still be passed on."""

    type: str | None
    notice: str = ""
    passes: int = PASSES


@dataclass(frozen=True)
class Wait:
    """A claim that waits: whose it is, for which types (none: all), how long, and who asks.

    `asks_first`: whether it must claim before it waits, though nothing is known to be pending.
    """

    executor_id: str
    types: Types
    seconds: float
    client: Client
    asks_first: bool = False


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
    seen_at: float = 0.0
    woken: threading.Event = field(default_factory=threading.Event)
    wake: Wake | None = None
    failure: Exception | None = None
    gone: bool = False
    entry: int | None = None


def retry_after(is_ending: bool) -> int:
    """Return after how many seconds to ask again, for an executor that may not wait: the process ends, or is full."""
    return ENDING_RETRY_SECONDS if is_ending else FULL_RETRY_SECONDS

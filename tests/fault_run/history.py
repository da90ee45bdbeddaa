"""What clients saw, and which faults were under way when."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Call:
    """A request. `status` is 0 when there was no answer; `error` then says why. Times are monotonic, in seconds."""

    name: str
    server: int
    begun: float
    ended: float
    status: int
    error: str = ""

    @property
    def seconds(self) -> float:
        """How long the client waited."""
        return self.ended - self.begun


@dataclass
class Window:
    """The time during which a fault was under way. `server` is the one that it concerns, None for all."""

    fault: str
    begun: float
    server: int | None = None
    ended: float = float("inf")

    def touches(self, call: Call, recovery_seconds: float) -> bool:
        """Whether a call was under way during the fault or the recovery from it."""
        return call.ended >= self.begun and call.begun <= self.ended + recovery_seconds


@dataclass
class History:
    """Everything that is known about a run. Any thread may add to it."""

    calls: list[Call] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    submitted: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The jobs whose submit was answered 201, by id."""
    cancelled: set[str] = field(default_factory=set)
    """The jobs whose cancel was answered 200."""
    completed: dict[str, set[str]] = field(default_factory=dict)
    """For each job, the outputs that careless executors reported and that were taken (200)."""
    stale_refused: int = 0
    """How many late reports of careless executors were refused."""
    unexpected: list[str] = field(default_factory=list)
    """What was noticed on the way and must not happen."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def fault(self, name: str, server: int | None = None) -> Iterator[Window]:
        """A fault is under way for as long as the context lasts."""
        window = Window(name, time.monotonic(), server)
        self.windows.append(window)
        try:
            yield window
        finally:
            window.ended = time.monotonic()

    def under(self, call: Call, faults: Sequence[str], recovery_seconds: float) -> bool:
        """Whether one of these faults, on this call's server, can explain what the call met."""
        return any(
            window.fault in faults and window.server in (None, call.server) and window.touches(call, recovery_seconds)
            for window in self.windows
        )

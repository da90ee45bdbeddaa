"""Clocks that tests set by hand."""

from __future__ import annotations

from dataclasses import dataclass

START_MS = 1_700_000_000_000


@dataclass
class Clock:
    """A clock that tests set by hand, in milliseconds."""

    now_ms: int = START_MS

    def __call__(self) -> str:
        return str(self.now_ms)

    def advance(self, milliseconds: int) -> None:
        """Let time pass."""
        self.now_ms += milliseconds


@dataclass
class HandClock:
    """In the place of `time.monotonic`: a clock that tests set by hand, in seconds."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now

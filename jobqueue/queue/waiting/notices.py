"""Which notices have come since a moment, and what is known from them and from looks."""

from __future__ import annotations

import time

Types = frozenset[str]
"""The types of the jobs that somebody takes; empty for all."""

ALL_TYPES: Types = frozenset()
MAX_TYPES = 1000
MAX_GROUPS = 1000
KNOWN_SECONDS = 2.0
"""How long a look counts that found nothing. While somebody waits, there is one every second."""


class Notices:
    """Remembers for each type the number of its latest notice. Notices are numbered from 1."""

    def __init__(self) -> None:
        self._latest: dict[str, int] = {}
        self._forgotten = 0
        self._any = 0

    def add(self, type: str, number: int) -> None:
        """Note that there was a notice. Types are chosen by clients, so only so many are remembered one by one."""
        if len(self._latest) >= MAX_TYPES and type not in self._latest:
            self._latest.clear()
            self._forgotten = self._any
        self._latest[type] = self._any = number

    def any_since(self, number: int, types: Types) -> bool:
        """Whether there may have been a notice after that number for one of these types."""
        if not types:
            return self._any > number
        return self._forgotten > number or any(self._latest.get(type, 0) > number for type in types)


class Knowledge:
    """For which types nothing is pending, as far as is known. `number` is that of the latest notice."""

    def __init__(self) -> None:
        self.number = 0
        self._noticed = Notices()
        self._missed = Notices()
        self._empty: dict[Types, tuple[int, float]] = {}

    def note(self, type: str) -> None:
        """Note that the latest notice was about this type."""
        self._noticed.add(type, self.number)

    def note_missed(self, type: str) -> None:
        """Note that nobody waited who could be woken for it."""
        self._missed.add(type, self.number)

    def missed_since(self, number: int, types: Types) -> bool:
        """Whether nobody was woken for a notice after that number that is about one of these types."""
        return self._missed.any_since(number, types)

    def note_look(self, number: int, types: Types, count: int) -> None:
        """Note how many jobs a look has found that began after the notice of that number."""
        if len(self._empty) >= MAX_GROUPS:
            self._empty.clear()
        self._empty.pop(types, None)
        if not count:
            self._empty[types] = (number, time.monotonic())

    def empty_since(self, types: Types) -> int | None:
        """Return the number of a notice after which nothing has been pending for these types, None if unknown."""
        for known in (types, ALL_TYPES):
            number, looked_at = self._empty.get(known, (0, 0.0))
            if time.monotonic() - looked_at < KNOWN_SECONDS and not self._noticed.any_since(number, types):
                return number
        return None

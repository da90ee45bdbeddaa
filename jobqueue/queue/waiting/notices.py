"""Which notices have come since a moment."""

from __future__ import annotations

Types = frozenset[str]
"""The types of the jobs that somebody takes; empty for all."""

ALL_TYPES: Types = frozenset()
MAX_TYPES = 1000


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

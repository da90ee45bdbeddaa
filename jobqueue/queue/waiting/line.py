"""Who waits for a job, in the order in which they began."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from jobqueue.queue.waiting.notices import Types

MIN_STALE = 64
"""Entries of those who have left are removed when there are so many, and as many as the others."""


@dataclass(eq=False)
class Waiter:
    """Somebody who waits. `place` is a number that grows with time. In the line it has its old place whenever it
    returns there.
    """

    types: Types
    place: float = 0.0
    in_line: bool = False


@dataclass
class Group:
    """Waiters for the same types: a heap of places, with entries of waiters that have left in it."""

    entries: list[tuple[float, Waiter]] = field(default_factory=list)
    count: int = 0

    def first(self) -> Waiter | None:
        """Return the waiter that began first."""
        while self.entries and not self.entries[0][1].in_line:
            heapq.heappop(self.entries)
        return self.entries[0][1] if self.entries else None

    def prune(self) -> None:
        """Remove the entries of those that have left when they are many."""
        if len(self.entries) > MIN_STALE + 2 * self.count:
            self.entries = [entry for entry in self.entries if entry[1].in_line]
            heapq.heapify(self.entries)


class Line:
    """The waiters. A type finds the first who takes it without a look at those who do not."""

    def __init__(self) -> None:
        self._groups: dict[Types, Group] = {}
        self._groups_of: dict[str, set[Types]] = {}

    def __len__(self) -> int:
        return sum(group.count for group in self._groups.values())

    def groups(self) -> list[Types]:
        """Return the sets of types for which somebody waits."""
        return list(self._groups)

    def add(self, waiter: Waiter) -> None:
        """Put a waiter at its place."""
        if waiter.in_line:
            return
        if waiter.types not in self._groups:
            self._groups[waiter.types] = Group()
            for type in waiter.types:
                self._groups_of.setdefault(type, set()).add(waiter.types)
        group = self._groups[waiter.types]
        waiter.in_line = True
        group.count += 1
        heapq.heappush(group.entries, (waiter.place, waiter))

    def remove(self, waiter: Waiter) -> None:
        """Take a waiter out, if it is there."""
        if not waiter.in_line:
            return
        waiter.in_line = False
        group = self._groups[waiter.types]
        group.count -= 1
        group.prune()
        if not group.count:
            self._forget(waiter.types)

    def first_for(self, type: str) -> Waiter | None:
        """Return the first who takes jobs of this type."""
        return self._first_of(self._takers_of(type))

    def first_of(self, types: Types) -> Waiter | None:
        """Return the first who takes just these types."""
        return self._first_of(iter([types]))

    def _takers_of(self, type: str) -> Iterator[Types]:
        yield frozenset()
        yield from self._groups_of.get(type, ())

    def _first_of(self, groups: Iterator[Types]) -> Waiter | None:
        firsts = [self._groups[types].first() for types in groups if types in self._groups]
        return min((waiter for waiter in firsts if waiter), key=lambda waiter: waiter.place, default=None)

    def _forget(self, types: Types) -> None:
        del self._groups[types]
        for type in types:
            others = self._groups_of[type]
            others.discard(types)
            if not others:
                del self._groups_of[type]

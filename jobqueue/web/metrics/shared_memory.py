"""Numbers by name, in memory that several processes share. Each process writes only to its own region of it."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from threading import Lock

WORD = 8
"""Bytes of everything that is stored: a number, or a length."""


class Region:
    """A part of the memory, written by one process at a time, and read by all.

    It begins with the length of what is used of it. Then come entries: the number, the length of the name, the name.
    A name is written before the length that makes it visible, and a number is one aligned word. So readers need no
    lock, and a process that is killed while it writes leaves everything readable.
    """

    def __init__(self, part: memoryview) -> None:
        self._bytes, self._integers, self._numbers = part, part.cast("Q"), part.cast("d")
        self._places: dict[str, int] | None = None
        self._lock = Lock()

    def reopened(self) -> Region:
        """Return this region for a process that has not used it yet."""
        return Region(self._bytes)

    def add(self, name: str, amount: float) -> bool:
        """Add to a number, which begins at 0. Returns False if the region has no space for another name."""
        with self._lock:
            place = self._place(name)
            if place is not None:
                self._numbers[place] += amount
            return place is not None

    def get(self, name: str) -> float:
        """Return a number."""
        with self._lock:
            place = self._place(name)
            return 0.0 if place is None else self._numbers[place]

    def items(self) -> Iterator[tuple[str, float]]:
        """Yield every name and its number."""
        for name, place in self._entries():
            yield name, self._numbers[place]

    def _place(self, name: str) -> int | None:
        """Return the index of a name's number, which is made if it does not exist."""
        if self._places is None:
            self._places = dict(self._entries())  # what a process before this one left here goes on
        if name not in self._places:
            place = self._append(name.encode())
            if place is None:
                return None
            self._places[name] = place
        return self._places[name]

    def _append(self, name: bytes) -> int | None:
        begin = self._integers[0] or WORD
        end = begin + 2 * WORD + len(name) + -len(name) % WORD
        if end > len(self._bytes):
            return None
        place = begin // WORD
        self._numbers[place], self._integers[place + 1] = 0.0, len(name)
        self._bytes[begin + 2 * WORD : begin + 2 * WORD + len(name)] = name
        self._integers[0] = end
        return place

    def _entries(self) -> Iterator[tuple[str, int]]:
        begin, end = WORD, self._integers[0]
        while begin < end:
            place = begin // WORD
            length = self._integers[place + 1]
            yield bytes(self._bytes[begin + 2 * WORD : begin + 2 * WORD + length]).decode(), place
            begin += 2 * WORD + length + -length % WORD


def regions(count: int, size: int) -> list[Region]:
    """Return empty regions of `size` bytes, a multiple of WORD, in new memory that this process's children share.

    The memory has no name and belongs to no file system. Nothing can remove or fill it, and it ends with the last
    process that has it. What was never written takes no space.
    """
    memory = memoryview(mmap.mmap(-1, count * size))
    return [Region(memory[number * size : (number + 1) * size]) for number in range(count)]

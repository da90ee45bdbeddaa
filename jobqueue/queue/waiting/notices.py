"""Which notices have come since a moment, and what is known from them and from looks."""

from __future__ import annotations

import time
from collections import OrderedDict

Types = frozenset[str]
"""The types of the jobs that somebody takes; empty for all."""

Work = list[tuple[int, str]]
"""New jobs: pairs of a number and a type."""

ALL_TYPES: Types = frozenset()
MAX_TYPES = 1000
MAX_GROUPS = 1000
MAX_NAMES = 1000
"""Of the latest notices. One that comes after so many others wakes somebody in vain, which costs a claim."""

KNOWN_SECONDS = 2.0
"""How long a look counts that found nothing. While somebody waits, there is one every second."""


def read_work(text: str) -> tuple[Work, str]:
    """Return what a notice of work says: for which jobs it is, and its name, which tells it from others."""
    *words, name = text.split()
    return [(int(count), type) for count, type in zip(words[::2], words[1::2], strict=False)], name


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


class Echoes:
    """The names of notices that this process expects, or has had, once.

    A process that stores jobs knows what the notice of them will say, and need not wait for it. Redis sends it to this
    process as well, before or after. While a job is on its way with a companion, nobody knows yet which notice will be
    about it, so those that may be are held back.
    """

    def __init__(self) -> None:
        self._expected: OrderedDict[str, None] = OrderedDict()
        self._received: OrderedDict[str, None] = OrderedDict()
        self._sent = 0
        self._on_their_way: dict[int, str] = {}
        self._held: list[tuple[int, Work, str]] = []

    def hold(self, type: str) -> int:
        """Hold back notices that may be about a job of a type which is on its way; return a number for `release`."""
        self._sent += 1
        self._on_their_way[self._sent] = type
        return self._sent

    def is_held(self, work: Work, name: str) -> bool:
        """Hold a notice back, if that is to be done; return whether it is."""
        candidates = [number for number, type in self._on_their_way.items() if work == [(1, type)]]
        if candidates:
            self._held.append((candidates[-1], work, name))
        return bool(candidates)

    def release(self, number: int) -> list[tuple[Work, str]]:
        """Note that a job is no longer on its way. Return the notices that are held back for none of the others: each
        waits only for those that were on their way when it came.
        """
        del self._on_their_way[number]
        oldest = next(iter(self._on_their_way), self._sent + 1)
        released = [(work, name) for last, work, name in self._held if last < oldest]
        self._held = [held for held in self._held if held[0] >= oldest]
        return released

    def expect(self, name: str) -> bool:
        """Note that jobs were stored here; return whether the notice of them has not come yet."""
        if self._received.pop(name, self) is None:
            return False
        _add(self._expected, name)
        return True

    def is_echo(self, name: str) -> bool:
        """Note that a notice has come; return whether it was expected."""
        if self._expected.pop(name, self) is None:
            return True
        _add(self._received, name)
        return False


def _add(names: OrderedDict[str, None], name: str) -> None:
    names[name] = None
    if len(names) > MAX_NAMES:
        names.popitem(last=False)

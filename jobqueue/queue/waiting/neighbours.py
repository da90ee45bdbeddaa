"""What the processes of one server know of one another's waiting claims, so that the one that began first is served
first wherever it waits.

Every process gets every notice. From this memory each reads when the claims of the others began to wait, and leaves a
job to them as long as theirs are older. It is a hint: a process that waits in vain for another one looks for itself a
moment later. So nothing is locked, and a process that dies leaves nothing that would have to be repaired.
"""

from __future__ import annotations

import mmap
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jobqueue.queue.waiting.line import Line
from jobqueue.queue.waiting.notices import Types

PROCESSES = 80
ENTRIES = 1024
"""How many claims of a process the others know of. There may be more; those have waited less long."""

WORD = 8
EVERY_TYPE = 2**64 - 1
SILENT_SECONDS = 3.0
"""A process that has noted nothing for so long has no claims that wait, or has died."""

HEADER = 2
NOTED_AT, USED = 0, 1
SIZE = (HEADER + 3 * ENTRIES) * WORD


class Region:
    """The memory that one process writes: when it last wrote, and how many entries are in use. Then come the entries:
    three columns with the time at which a claim began, the mark of the notice for which it was woken (0: it waits), and
    the bits of its types.
    """

    def __init__(self, part: memoryview) -> None:
        numbers, bits = part.cast("d"), part.cast("Q")
        self._header = numbers[:HEADER]
        self._began = numbers[HEADER : HEADER + ENTRIES]
        self._woken = numbers[HEADER + ENTRIES : HEADER + 2 * ENTRIES]
        self._types = bits[HEADER + 2 * ENTRIES : HEADER + 3 * ENTRIES]
        self._free: list[int] = []

    def clear(self) -> None:
        """Begin with no entries: this process writes here from now on. The one before it has ended."""
        self._free = list(range(ENTRIES - 1, -1, -1))
        self._header[USED] = 0

    def note(self) -> None:
        """Show that the process lives."""
        self._header[NOTED_AT] = time.monotonic()

    def enter(self, began: float, types: Types) -> int | None:
        """Add a claim that waits; return its entry, None if there is no room."""
        if not self._free:
            return None
        entry = self._free.pop()
        self._woken[entry], self._types[entry], self._began[entry] = 0.0, bits_of(types), began
        self._header[USED] = max(self._header[USED], entry + 1)
        self.note()
        return entry

    def wake(self, entry: int | None, notice: str) -> None:
        """Note that a claim is woken for a notice, and waits no longer for others."""
        if entry is not None:
            self._woken[entry] = mark_of(notice)

    def rest(self, entry: int | None) -> None:
        """Note that a claim waits again."""
        if entry is not None:
            self._woken[entry] = 0.0

    def leave(self, entry: int | None) -> None:
        """Remove a claim."""
        if entry is not None:
            self._began[entry] = 0.0
            self._free.append(entry)

    def waiting_for(self, bit: int, mark: float, now: float) -> Iterator[float]:
        """Yield when those began that wait for a type, or were woken for this notice, as another process reads it."""
        used = int(self._header[USED])
        if not used or now - self._header[NOTED_AT] > SILENT_SECONDS:
            return
        for began, woken, types in zip(self._began[:used], self._woken[:used], self._types[:used], strict=True):
            if began and types & bit and woken in (0.0, mark):
                yield began


class Neighbours:
    """The regions of all processes of a server, and the one of this process.

    The first number of `used` says how many regions were ever used. To look at the others would cost more than all the
    rest: each lies in pages of its own.
    """

    def __init__(self, own: Region, regions: Sequence[Region], used: memoryview) -> None:
        self.own = own
        self._regions = regions
        self._used = used

    def waiting_for(self, type: str, notice: str) -> list[float]:
        """Return when the claims in other processes began that can be woken for a notice, the oldest first.

        The others get this notice, too, and may have woken theirs already.
        """
        arguments = bits_of(frozenset([type])), mark_of(notice), time.monotonic()
        return sorted(began for other in self._others() for began in other.waiting_for(*arguments))

    def oldest(self, types: Types) -> float | None:
        """Return when the oldest claim in another process began to wait that takes one of these types."""
        arguments = bits_of(types), 0.0, time.monotonic()
        return min((began for other in self._others() for began in other.waiting_for(*arguments)), default=None)

    def _others(self) -> list[Region]:
        return [each for each in self._regions[: self._used[0]] if each is not self.own]


class Precedence:
    """Leaves the jobs that a look has found to the older claims of other processes, for a moment."""

    def __init__(self, neighbours: Neighbours, line: Line) -> None:
        self._neighbours = neighbours
        self._line = line
        self._left: set[Types] = set()

    def keep_only(self, groups: Iterable[Types]) -> None:
        """Forget the types for which nobody waits any more: clients choose them, and there may be ever new ones."""
        self._left.intersection_update(groups)

    def is_for_another(self, types: Types) -> bool:
        """Whether the jobs that a look has found are for an older claim in another process, which most likely is about
        to get them. The next look does not leave them: a process may hang, or have died.
        """
        first, oldest = self._line.first_of(types), self._neighbours.oldest(types)
        if types in self._left or first is None or oldest is None or first.place < oldest:
            self._left.discard(types)
            return False
        self._left.add(types)
        return True


def bits_of(types: Types) -> int:
    """Return a number in which each type has one of 64 bits. Two types may have the same one."""
    bits = 0
    for type in types:
        bits |= 1 << zlib.crc32(type.encode()) % 64
    return bits or EVERY_TYPE


def mark_of(notice: str) -> float:
    """Return a number from 1 on that tells a notice from those before and after it."""
    return zlib.crc32(notice.encode()) + 1.0


class _Inherited:
    """What a process can only find in this module, because gunicorn starts the app without arguments."""

    parts: list[memoryview] | None = None
    used: memoryview
    number: int | None = None


def prepare() -> None:
    """Make the memory that this process's children inherit, unless it exists. gunicorn's master calls this."""
    if _Inherited.parts is None:
        memory = memoryview(mmap.mmap(-1, PROCESSES * SIZE + WORD))
        _Inherited.parts = [memory[number * SIZE : (number + 1) * SIZE] for number in range(PROCESSES)]
        _Inherited.used = memory[PROCESSES * SIZE :].cast("Q")


def choose(worker: Any) -> None:
    """Choose the region of a process that gunicorn's master is about to start: that of its counts."""
    number = _Inherited.number = getattr(worker, "metrics_region", None)
    if _Inherited.parts is not None and number is not None:
        _Inherited.used[0] = max(_Inherited.used[0], number + 1)


def inherited() -> Neighbours:
    """Return what this process inherited. Without a master, or without a region, it has no neighbours."""
    number = _Inherited.number
    if _Inherited.parts is None or number is None or number >= PROCESSES:
        return alone()
    regions = [*map(Region, _Inherited.parts)]
    own = regions[number]
    own.clear()
    return Neighbours(own, regions, _Inherited.used)


def alone() -> Neighbours:
    """Return the neighbours of a process that has none."""
    own = Region(memoryview(bytearray(SIZE)))
    own.clear()
    return Neighbours(own, [], memoryview(bytes(WORD)).cast("Q"))

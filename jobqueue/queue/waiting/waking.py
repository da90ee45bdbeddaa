"""Wakes claims of this process for new jobs: one for each job, in the order in which they began to wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from jobqueue.queue.waiting.line import Line
from jobqueue.queue.waiting.neighbours import Neighbours, Precedence
from jobqueue.queue.waiting.notices import ALL_TYPES, Knowledge, Types
from jobqueue.queue.waiting.wait import Waiting, Wake

LOOK_WAKES = 10
"""How many claims a look wakes at most. Each that gets a job has another look made."""


class Waking:
    """The line of this process, and whom a notice or a look wakes in it. Its user holds a lock during every call.

    `poke` has a look made at once.
    """

    def __init__(self, neighbours: Neighbours, poke: Callable[[], None]) -> None:
        self.line = Line()
        self.known = Knowledge()
        self._neighbours = neighbours
        self._region = neighbours.own
        self._precedence = Precedence(neighbours, self.line)
        self._poke = poke

    def groups(self) -> tuple[int, list[Types]]:
        """Return the number of the latest notice, and the sets of types for which somebody waits."""
        groups = self.line.groups()
        self._precedence.keep_only(groups)
        return self.known.number, groups

    def notice(self, work: Iterable[tuple[int, str]], name: str) -> None:
        """Wake as many as there are new jobs that they take. `work` has pairs of a number and a type."""
        self.known.number += 1
        for count, type in work:
            self.known.note(type)
            if self._share(Wake(type, name), type, count) < count:
                # Those who are asking at this moment may have come too early: they ask again before they rest.
                self.known.note_missed(type)

    def found(self, number: int, types: Types, count: int) -> None:
        """Note how many jobs a look has found that began after the notice of that number; wake as many for them."""
        self.known.note_look(number, types, count)
        if count and self._precedence.is_for_another(types):
            self._poke()
            return
        self.wake(Wake(None), types, min(count, LOOK_WAKES))

    def wake(self, wake: Wake, types: Types, count: int) -> int:
        """Wake the first in the line who take the type of a notice, or those with the types of a look, at most `count`.
        Return how many there were.
        """
        for number in range(count):
            waiting = self.line.first_of(types) if wake.type is None else self.line.first_for(wake.type)
            if not isinstance(waiting, Waiting):
                return number
            self.line.remove(waiting)
            self._region.wake(waiting.entry, wake.notice)
            waiting.wake = wake
            waiting.woken.set()
        return count

    def _share(self, wake: Wake, type: str, count: int) -> int:
        """Wake the first for new jobs of a type. Those for whom an older claim waits in another process are left to it.

        Return for how many jobs there was somebody.
        """
        others = self._neighbours.waiting_for(type, wake.notice)[:count]
        left_to_others = 0
        for number in range(count):
            first = self.line.first_for(type)
            if left_to_others < len(others) and (first is None or others[left_to_others] < first.place):
                left_to_others += 1
            elif not self.wake(wake, ALL_TYPES, 1):
                return number
        if left_to_others and len(self.line):
            self._poke()  # A process may hang, or have died.
        return count

"""Wakes claims of this process for new jobs: one for each job, in the order in which they began to wait."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

from jobqueue.queue.waiting.companions import Answer, Companion
from jobqueue.queue.waiting.line import Line
from jobqueue.queue.waiting.neighbours import Neighbours, Precedence
from jobqueue.queue.waiting.notices import ALL_TYPES, Echoes, Knowledge, Types, Work, read_work
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
        self._echoes = Echoes()
        self._neighbours = neighbours
        self._region = neighbours.own
        self._precedence = Precedence(neighbours, self.line)
        self._poke = poke

    def groups(self) -> tuple[int, list[Types]]:
        """Return the number of the latest notice, and the sets of types for which somebody waits."""
        groups = self.line.groups()
        self._precedence.keep_only(groups)
        return self.known.number, groups

    def notice(self, work: Work, name: str) -> None:
        """Wake as many as there are new jobs that they take."""
        if not self._echoes.is_held(work, name) and not self._echoes.is_echo(name):
            self._wake_for(work, name)

    def notice_here(self, work: Work, name: str) -> bool:
        """Do the same for jobs that this process has stored, unless Redis has sent the notice of them already; return
        whether it has not.
        """
        if not self._echoes.expect(name):
            return False
        self._wake_for(work, name)
        return True

    def companion_for(self, type: str, land: Callable[[Waiting, Companion, Answer, str], None]) -> Companion | None:
        """Take the first who takes jobs of a type out of the line, as companion of a job that is not stored yet. Until
        `release`, notices that may be about that job are held back.

        None if an older claim waits in another process, or the first has gone.
        """
        first, others = self.line.first_for(type), self._neighbours.waiting_for(type, "")
        if not isinstance(first, Waiting) or first.along is None or (others and others[0] < first.place):
            return None
        if not first.client.is_connected():
            return None
        call = first.along.call()
        first.companion = Companion(call, self.known.number, partial(land, first), self._echoes.hold(type))
        first.wake = Wake(type)
        self.line.remove(first)
        return first.companion

    def release(self, waiting: Waiting, companion: Companion, notice: str) -> None:
        """Note the notice of the job with which a claim has gone along, "" if none was stored, and wake others for
        notices that were held back.
        """
        if notice:
            work, name = read_work(notice)
            if self._echoes.expect(name):
                self._note(work)
            self._region.wake(waiting.entry, name)
        for work, name in self._echoes.release(companion.turn):
            if not self._echoes.is_echo(name):
                self._wake_for(work, name)

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

    def settle(self, wake: Wake, types: Types, found: Collection[str]) -> None:
        """See to the job for which a claim for `types` was woken that has now got jobs of those types, or none."""
        if found and wake.type not in found:
            # There may be more than a look has woken claims for, and the job of a notice is perhaps still there. The
            # next one is not woken for it at once: it might go before another one that is just asking.
            self._poke()
        elif not found and wake.passes:  # Perhaps the job is for another executor.
            self.wake(replace(wake, passes=wake.passes - 1), types, 1)

    def _wake_for(self, work: Work, name: str) -> None:
        self._note(work)
        for count, type in work:
            if self._share(Wake(type, name), type, count) < count:
                # Those who are asking at this moment may have come too early: they ask again before they rest.
                self.known.note_missed(type)

    def _note(self, work: Work) -> None:
        self.known.number += 1
        for _, type in work:
            self.known.note(type)

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

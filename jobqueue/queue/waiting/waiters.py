"""Lets claims wait: wakes one of them for each new job, in the order in which they began to wait.

A notice only says that it is worth while to claim. The one that is woken claims as if it had just come, so whatever is
lost or said twice costs time, and never a job.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from jobqueue.queue.waiting.companions import Answer, Companion
from jobqueue.queue.waiting.listener import Listener
from jobqueue.queue.waiting.neighbours import Neighbours, alone
from jobqueue.queue.waiting.notices import Types
from jobqueue.queue.waiting.wait import LATE_SECONDS, Asking, Attempt, Client, Outcome, Wait, Waiting, retry_after
from jobqueue.queue.waiting.waking import Waking

T = TypeVar("T")

MAX_WAITERS = 3000
"""Of one process. A waiting request costs about 40 KB."""

FOLLOW_SECONDS = 10.0
"""How long notices of work still come when no claim waits any more. An executor usually waits again soon."""


class Waiters:
    """The claims that wait in this process. Without a listener, they wait for looks alone."""

    def __init__(self, listener: Listener | None = None, neighbours: Neighbours | None = None) -> None:
        self._listener = listener
        neighbours = neighbours or alone()
        self._region = neighbours.own
        self._lock = threading.Lock()
        self._latest_place = 0.0
        self._all: dict[float, Waiting] = {}
        self._asking = Asking()
        self._left_at = 0.0
        self._is_ending = False
        self.poked = threading.Event()
        """Set when a look is due at once."""
        self._waking = Waking(neighbours, self.poked.set)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def in_line(self) -> int:
        """How many claims wait and are not woken."""
        return len(self._waking.line)

    @property
    def _hears(self) -> bool:
        return self._listener is not None and self._listener.hears_work

    def need_looks(self) -> bool:
        """Return whether claims wait, or have waited a moment ago. Otherwise notices of work are not followed."""
        needed = bool(self._all) or time.monotonic() - self._left_at < FOLLOW_SECONDS
        if self._listener is not None:
            self._listener.follow_work(needed)
        return needed

    def claim(self, wait: Wait, attempt: Callable[[], Attempt[T]]) -> Outcome[T]:
        """Return what `attempt` gets as soon as it gets jobs, or is a replay; nothing at the end of the wait.

        Raises what `attempt` raises, and StoreUnavailable when Redis is away for longer than a moment.
        """
        waiting = Waiting(wait.types, executor_id=wait.executor_id, client=wait.client, along=wait.along)
        began_at = time.monotonic()
        deadline = began_at + wait.seconds
        asked = None if wait.asks_first else self._known_empty_since(wait.types)
        try:
            self._join(waiting, asked)
            while True:
                if asked is None:
                    asked, asked_at, got = self._ask(waiting, attempt)
                    if got.types or got.replayed:
                        return Outcome(got.value, waited_seconds=asked_at - began_at)
                left = deadline - time.monotonic()
                if left <= 0:
                    return Outcome()
                if not self._may_wait(wait.client):
                    return Outcome(retry_after=retry_after(self._is_ending))
                if self._rest(waiting, asked):
                    with wait.client.waiting():
                        waiting.woken.wait(left)
                    if not self._is_to_ask(waiting, deadline):
                        return Outcome(retry_after=retry_after(True) if self._is_ending else None)
                asked = None
        finally:
            self._leave(waiting)

    def _ask(self, waiting: Waiting, attempt: Callable[[], Attempt[T]]) -> tuple[int, float, Attempt[T]]:
        """Return what a claim has got, which may have been sent along with a job: the number of the latest notice when
        it was sent, when that was, and the answer.
        """
        wake, waiting.wake = waiting.wake, None
        companion, waiting.companion = waiting.companion, None
        number, asked_at = self._waking.known.number, time.monotonic()
        if companion is None or companion.answer is None or waiting.along is None:
            got = attempt()
        else:
            number, asked_at, got = companion.number, companion.sent_at, waiting.along.read(companion.answer)
        waiting.seen_at = asked_at
        if wake is not None:
            with self._lock:
                self._waking.settle(wake, waiting.types, got.types)
        return number, asked_at, got

    def end(self) -> None:
        """Have every claim answered at once, now and from now on."""
        with self._lock:
            self._is_ending = True
            for waiting in self._all.values():
                waiting.woken.set()

    def notice(self, work: Iterable[tuple[int, str]], name: str) -> None:
        """Wake as many as there are new jobs that they take. `work` has pairs of a number and a type."""
        with self._lock:
            self._waking.notice(list(work), name)

    def notice_here(self, work: Iterable[tuple[int, str]], name: str) -> bool:
        """Do the same for jobs that this process has stored, without waiting for Redis to send the notice of them.

        Return whether claims wait here: some may have been woken, and are to run before the answer to the submitter.
        """
        with self._lock:
            return bool(self._all) and self._waking.notice_here(list(work), name)

    def companion_for(self, type: str) -> Companion | None:
        """Take the first claim for a type out of the line, to be sent along with a new job of that type.

        None if nobody waits for it here, if an older claim waits in another process, or if the first one has gone.
        """
        with self._lock:
            return self._waking.companion_for(type, self._land) if self._all else None

    def _land(self, waiting: Waiting, companion: Companion, answer: Answer, notice: str) -> None:
        """Let a claim go on that was sent along with a job. `notice` is what Redis says about the job."""
        with self._lock:
            self._waking.release(waiting, companion, notice)
            companion.answer = answer
            companion.landed.set()
            waiting.woken.set()

    def recheck(self) -> None:
        """Have every claim answered whose client may not wait any longer."""
        with self._lock:
            waiting = list(self._all.values())
        for each in waiting:
            if not each.client.is_connected():
                each.gone = True
                each.woken.set()

    def groups(self) -> tuple[int, list[Types]]:
        """Return the number of the latest notice, and the sets of types for which somebody waits."""
        with self._lock:
            return self._waking.groups()

    def take_unseen(self, count: int, longest_seconds: float) -> list[str]:
        """Return at most `count` executors that wait, or have waited, and were last noted as asking so long ago.

        They count as noted from now on. Those whose clients have gone leave the line.
        """
        self._region.note()
        with self._lock:
            asking, gone = self._asking.take(self._all.values(), count, longest_seconds)
            for each in gone:
                each.gone = True
                each.woken.set()
        return asking

    def found(self, number: int, types: Types, count: int) -> None:
        """Note how many jobs a look has found that began after the notice of that number; wake as many for them."""
        with self._lock:
            self._waking.found(number, types, count)

    def fail(self, failure: Exception) -> None:
        """Have every claim that waits now answered with an error."""
        with self._lock:
            for waiting in self._all.values():
                waiting.failure = failure
                waiting.woken.set()

    def _known_empty_since(self, types: Types) -> int | None:
        """Return the number of a notice after which nothing has been pending for these types, None if unknown."""
        with self._lock:
            return self._waking.known.empty_since(types) if self._hears else None

    def _join(self, waiting: Waiting, asked: int | None) -> None:
        with self._lock:
            # A time, so that it can be compared with those of other processes; no two are the same here.
            waiting.place = self._latest_place = max(time.monotonic(), self._latest_place + 1e-6)
            self._all[waiting.place] = waiting
            is_alone = len(self._all) == 1
        if self._listener is not None:
            self._listener.follow_work(True)
        if is_alone or (asked is None and self._hears):
            self.poked.set()  # After a look that finds nothing, the next ones need not ask themselves.

    def _may_wait(self, client: Client) -> bool:
        return not self._is_ending and len(self._all) <= MAX_WAITERS and client.may_wait()

    def _rest(self, waiting: Waiting, asked: int) -> bool:
        """Put a claim into the line, unless there was a notice since it asked, which nobody could take."""
        with self._lock:
            if self._waking.known.missed_since(asked, waiting.types):
                return False
            waiting.woken.clear()
            if self._is_ending or waiting.failure:
                waiting.woken.set()
                return True
            self._waking.line.add(waiting)
            if waiting.entry is None:
                waiting.entry = self._region.enter(waiting.place, waiting.types)
            else:
                self._region.rest(waiting.entry)
            return True

    def _is_to_ask(self, waiting: Waiting, deadline: float) -> bool:
        with self._lock:
            self._waking.line.remove(waiting)
        if waiting.companion is not None:
            waiting.companion.landed.wait()
            if waiting.companion.answer is not None:
                return True
        if waiting.failure is not None:
            raise waiting.failure
        if waiting.wake is None or waiting.gone or self._is_ending or time.monotonic() > deadline + LATE_SECONDS:
            return False
        return waiting.client.is_connected()

    def _leave(self, waiting: Waiting) -> None:
        """Forget a claim. A wake that it has not used is for the next one."""
        with self._lock:
            self._waking.line.remove(waiting)
            self._region.leave(waiting.entry)
            self._all.pop(waiting.place, None)
            self._left_at = time.monotonic()
            self._asking.note_end(waiting)
            if waiting.wake is not None and waiting.failure is None:
                self._waking.wake(waiting.wake, waiting.types, 1)

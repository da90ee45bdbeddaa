"""Which report is sent next, and when: the rules of the delivery, without its requests."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from jobqueue.client.batches import MAX_JOBS, ClaimRequest
from jobqueue.worker.reports.intake import Intake, NoIntake
from jobqueue.worker.reports.outage import CLOSING_PAUSE_SECONDS, Outage, TimeLimits
from jobqueue.worker.reports.spool import SpooledReport

STUCK_SECONDS = 1.0
"""How long reports wait for the batch that is under way. After that they go on another connection."""

GATHER_SECONDS = 0.025
"""How long a report waits for others while jobs wait in the worker: no slot needs the answer then, and a request costs
the worker, the server and Redis more than all that is in it. It is a quarter of the work that is claimed ahead.
"""


@dataclass(eq=False)
class Single:
    """A report that is sent by itself, and when it may be tried (monotonic, seconds).

    `in_hand` is whether a thread is sending it, `tried` whether a thread has tried in vain.
    """

    report: SpooledReport
    pauses: Iterator[float]
    due_at: float = 0.0
    in_hand: bool = False
    tried: bool = False


@dataclass(eq=False)
class Batch:
    """Small reports that are sent together, with the claim that goes along."""

    reports: Sequence[SpooledReport]
    claim: ClaimRequest | None
    begun_at: float


@dataclass
class Outbox:
    """The reports that wait. Any thread may call its methods; `intake` is called under its lock.

    What is new goes in a batch: everything that has ended while the batch before it was under way, or within a moment
    while the worker has jobs enough. A report that was tried in vain goes by itself, so that no report can hold up
    another: each is tried again after pauses of its own, several side by side. While the API is away only one is tried
    at a time, with growing pauses, so that no herd meets it when it comes back. A report that has not been tried yet
    ends such a pause: its connection may work where another
    one did not.
    """

    limits: TimeLimits
    may_batch: Callable[[], bool]
    intake: Intake = field(default_factory=NoIntake)

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._all_sent = threading.Condition(self._changed._lock)  # type: ignore[attr-defined]
        self._fresh: deque[SpooledReport] = deque()
        self._fresh_since = 0.0
        self._singles: list[Single] = []
        self._batches: set[Batch] = set()
        self._outage = Outage(self.limits)
        self._is_watched = False
        self._closing_at: float | None = None

    @property
    def closing_at(self) -> float | None:
        """When the last try has to end; None while the worker goes on."""
        return self._closing_at

    def add(self, report: SpooledReport) -> None:
        """Add a report of this worker."""
        with self._changed:
            if report.is_small:
                if not self._fresh:
                    self._fresh_since = time.monotonic()
                self._fresh.append(report)
            else:
                self._singles.append(Single(report, self.limits.pauses()))
                self.intake.free(1)
            # A thread that has a batch under way looks here again when it is answered. To wake another one for each
            # report would cost more than the report.
            if not report.is_small or not (self._batches or (len(self._fresh) > 1 and self._gathers)):
                self._changed.notify()

    def add_found(self, reports: Iterable[SpooledReport]) -> None:
        """Add reports of workers that are dead. Call it before the threads are started."""
        self._singles += [Single(report, self.limits.pauses()) for report in reports]

    def next(self) -> Batch | Single | None:
        """Wait for reports that are due and return them; None when the thread has to end: the worker is closing, and
        out of reports or of time.
        """
        with self._changed:
            while True:
                now = time.monotonic()
                if self._closing_at is not None and (now >= self._closing_at or not self._has_any):
                    return None
                if work := self._next_batch(now) or self._next_single(now):
                    return work
                self._wait(now)

    def finish_batch(
        self, batch: Batch, again: Sequence[SpooledReport], answered: bool, wanted_pause: float = 0.0
    ) -> None:
        """Note that a batch is over. `answered` is whether the API answered; `again` has to be sent once more. The API
        has asked for a pause of `wanted_pause` seconds.
        """
        with self._changed:
            self._batches.discard(batch)
            now = time.monotonic()
            self._note_try(answered, now, wanted_pause)
            for report in again:
                single = Single(report, self.limits.pauses(), tried=not answered)
                if not answered:
                    single.due_at = now + self._pause_seconds(single.pauses)
                self._singles.append(single)
            if again:
                self._changed.notify_all()
            if not self._has_any:
                self._changed.notify_all()
                self._all_sent.notify_all()

    def finish_single(self, single: Single, done: bool, wanted_pause: float = 0.0) -> None:
        """Note that a report was tried; `done` is whether nothing more will be sent."""
        with self._changed:
            now = time.monotonic()
            self._note_try(done, now, wanted_pause)
            single.in_hand, single.tried = False, True
            single.due_at = now + self._pause_seconds(single.pauses)
            if done:
                self._singles.remove(single)
            self._changed.notify_all()
            self._all_sent.notify_all()

    def wait_until_sent(self, seconds: float) -> bool:
        """Wait up to `seconds` until no report waits; return whether none does."""
        with self._all_sent:
            return self._all_sent.wait_for(lambda: not self._has_any, seconds)

    def close(self, within_seconds: float) -> float | None:
        """Let the last try end after that time; return when that is, None when it has been called before."""
        with self._changed:
            if self._closing_at is not None:
                return None
            now = time.monotonic()
            self._closing_at = now + within_seconds
            soon = now + CLOSING_PAUSE_SECONDS
            self._outage.end_pauses(soon)
            for each in self._singles:
                each.due_at = min(each.due_at, soon)
            self._changed.notify_all()
            return self._closing_at

    def remaining(self) -> list[SpooledReport]:
        """Return the reports that wait."""
        with self._changed:
            under_way = [report for batch in self._batches for report in batch.reports]
            return [*self._fresh, *under_way, *(single.report for single in self._singles)]

    @property
    def _has_any(self) -> bool:
        return bool(self._fresh or self._singles or self._batches)

    @property
    def _gathers(self) -> bool:
        return self._closing_at is None and self.intake.is_supplied

    def _next_batch(self, now: float) -> Batch | None:
        if not self._fresh:
            return None
        if self._outage.lasts or not self.may_batch():
            self.intake.free(len(self._fresh))
            self._singles += [Single(report, self.limits.pauses()) for report in self._fresh]
            self._fresh.clear()
            self._changed.notify_all()
            return None
        if any(now - batch.begun_at < STUCK_SECONDS for batch in self._batches):
            return None
        if self._gathers and now - self._fresh_since < GATHER_SECONDS:
            return None
        reports = [self._fresh.popleft() for _ in range(min(len(self._fresh), MAX_JOBS))]
        batch = Batch(reports, self.intake.ask(len(reports)), now)
        self._batches.add(batch)
        if not self._is_watched:
            self._changed.notify()
        return batch

    def _next_single(self, now: float) -> Single | None:
        due = {single: self._due_at(single) for single in self._free()}
        chosen = min(due, key=lambda single: (due[single] > now, single.tried, due[single]), default=None)
        if chosen is None or due[chosen] > now:
            return None
        chosen.in_hand = True
        return chosen

    def _wait(self, now: float) -> None:
        moments = [self._due_at(single) for single in self._free()]
        if self._closing_at is not None:
            moments.append(self._closing_at)
        if self._fresh and not self._batches:
            moments.append(self._fresh_since + GATHER_SECONDS)
        # One thread looks from time to time whether a batch is stuck, for as long as there are batches.
        watches = bool(self._batches) and not self._is_watched
        if watches:
            self._is_watched = True
            moments.append(now + STUCK_SECONDS)
        self._changed.wait(max(min(moments) - now, 0) if moments else None)
        if watches:
            self._is_watched = False

    def _free(self) -> list[Single]:
        """Return the reports that no thread has in hand and that may be tried now, as far as others are concerned."""
        # While the API is away one at a time is enough to see when it is back, and one of those that are new.
        busy = {each.tried for each in self._singles if each.in_hand} if self._outage.lasts else set()
        return [each for each in self._singles if not each.in_hand and each.tried not in busy]

    def _due_at(self, single: Single) -> float:
        outage = self._outage
        if not outage.lasts:
            return single.due_at
        return max(single.due_at, outage.next_try_at if single.tried else outage.next_first_try_at)

    def _note_try(self, answered: bool, now: float, wanted_pause: float) -> None:
        if not answered:
            # While the outage lasts, no report is tried before that pause is over, whatever its own pause is.
            self._outage.note_failure(now, self._longest_pause, wanted_pause if self._closing_at is None else 0.0)
        elif self._outage.lasts:
            self._outage.note_answer()

    def _pause_seconds(self, pauses: Iterator[float]) -> float:
        """Return the next pause, shortened once the worker is about to end."""
        return min(next(pauses), self._longest_pause)

    @property
    def _longest_pause(self) -> float:
        return self.limits.max_retry_pause if self._closing_at is None else CLOSING_PAUSE_SECONDS

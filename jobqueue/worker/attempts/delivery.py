"""Sends reports until the API has answered them: at once when possible, otherwise from threads that try again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from os import SEEK_END
from pathlib import Path
from typing import IO

from jobqueue import logs
from jobqueue.backoff import backoff
from jobqueue.client.claims import Claims
from jobqueue.client.transport import ApiRefused, ApiUnavailable
from jobqueue.worker.attempts.spool import Spool, SpooledReport

SENDERS = 4
"""Threads that send, each on a connection of its own. One report that takes long does not hold up the others."""

CLOSING_PAUSE_SECONDS = 0.5
"""Longest pause between two tries once the worker is about to end."""

MIN_TRY_SECONDS = 0.1
"""The least time that a try gets, even when the time to close is nearly over."""


@dataclass(frozen=True)
class TimeLimits:
    """How long one try may take: the first (the slot waits for it), a later one, one while the worker is ending; and
    the bounds for the pause before a report is sent again. All in seconds.

    A later try gets more time for a large report: as much as it takes at `bytes_per_second`, the slowest link on which
    reports arrive. A connection that passes nothing at all is given up long before.
    """

    first_try: float = 5.0
    later_try: float = 10.0
    closing_try: float = 3.0
    min_retry_pause: float = 0.25
    max_retry_pause: float = 5.0
    bytes_per_second: float = 16 * 1024

    def pauses(self) -> Iterator[float]:
        """Yield growing pauses."""
        return backoff(self.min_retry_pause, self.max_retry_pause)


@dataclass(eq=False)
class _Waiting:
    """A report that waits, and when it may be tried (monotonic, seconds).

    `in_hand` is whether a thread is sending it, `tried` whether a thread has tried in vain.
    """

    report: SpooledReport
    pauses: Iterator[float]
    due_at: float = 0.0
    in_hand: bool = False
    tried: bool = False


@dataclass
class _Outage:
    """Whether the last try of all was in vain, and if so, when the next report may be tried that has been tried before,
    and when one that has not.
    """

    pauses: Iterator[float]
    lasts: bool = False
    next_try_at: float = 0.0
    next_first_try_at: float = 0.0


@dataclass
class _State:
    """What the senders share. `changed` guards it."""

    outage: _Outage
    waiting: list[_Waiting] = field(default_factory=list)
    closing_at: float | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)


class Delivery:
    """Delivers the reports in a spool. Any thread may call `deliver` and `leave`.

    Reports are independent. Each one is tried again after pauses of its own, and several are sent side by side. While
    the API is away only one is tried at a time, with growing pauses, so that no herd meets it when it comes back. A
    report that has not been tried yet ends such a pause: its connection may work where another one did not.
    """

    def __init__(self, spool: Spool, connect: Callable[[], Claims], limits: TimeLimits | None = None) -> None:
        self._spool = spool
        self._connect = connect
        self._limits = limits or TimeLimits()
        self._state = _State(_Outage(self._limits.pauses()))
        self._threads = [threading.Thread(target=self._run, name="delivery", daemon=True) for _ in range(SENDERS)]

    def start(self) -> None:
        """Start to send what waits, first of all what dead workers have left."""
        self._state.waiting += [_Waiting(report, self._limits.pauses()) for report in self._spool.adopt()]
        first, *others = self._threads
        first.start()
        with suppress(RuntimeError):  # the machine is out of threads; one is enough
            for thread in others:
                thread.start()

    def deliver(self, claims: Claims, report: SpooledReport) -> None:
        """Send a report now, on the caller's connection; leave it to the threads when the API does not answer.

        While the API is away the report is left to the threads at once. Otherwise every slot would wait for the time
        limit of a first try after every job, and run nothing meanwhile.
        """
        # The flag is read without the lock. At worst that costs one try, or leaves a report to the threads needlessly.
        if self._state.outage.lasts or not self._try(claims, report, self._limits.first_try):
            self.leave(report)

    def leave(self, report: SpooledReport) -> None:
        """Leave a report to the threads."""
        with self._state.changed:
            self._state.waiting.append(_Waiting(report, self._limits.pauses()))
            self._state.changed.notify_all()

    def wait_until_sent(self, seconds: float) -> bool:
        """Wait up to `seconds` until no report waits; return whether none does."""
        with self._state.changed:
            return self._state.changed.wait_for(lambda: not self._state.waiting, seconds)

    def close(self, within_seconds: float) -> None:
        """Go on sending for that time at most, then leave the rest to the next worker on this host.

        Does nothing when it has been called before.
        """
        with self._state.changed:
            if self._state.closing_at is not None:
                return
            now = time.monotonic()
            deadline = self._state.closing_at = now + within_seconds
            soon = now + CLOSING_PAUSE_SECONDS
            self._state.outage.next_try_at = min(self._state.outage.next_try_at, soon)
            for each in self._state.waiting:
                each.due_at = min(each.due_at, soon)
            self._state.changed.notify_all()
        # A request that is under way may be held up far longer than its limit. The threads are daemons: they are left
        # behind then, and the reports that they were sending are still on disk.
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(deadline - time.monotonic(), 0) + 2 * MIN_TRY_SECONDS)
        reports = [each.report for each in self._state.waiting]
        lost = [report.job_id for report in reports if not isinstance(report.stored, Path)]
        if lost:
            logs.logger().error("reports_lost", job_ids=" ".join(lost))
        self._spool.close()

    def _run(self) -> None:
        with closing(self._connect()) as claims:
            while (waiting := self._next()) is not None:
                done = self._try(claims, waiting.report)
                with self._state.changed:
                    waiting.in_hand, waiting.tried = False, True
                    waiting.due_at = time.monotonic() + self._pause_seconds(waiting.pauses)
                    if done:
                        self._state.waiting.remove(waiting)
                    self._state.changed.notify_all()

    def _next(self) -> _Waiting | None:
        """Wait for a report that is due and return it; None when the thread has to end: it is closing, and out of
        reports or of time.
        """
        with self._state.changed:
            while True:
                now, closing_at = time.monotonic(), self._state.closing_at
                if closing_at is not None and (now >= closing_at or not self._state.waiting):
                    return None
                due = {waiting: self._due_at(waiting) for waiting in self._free()}
                chosen = min(due, key=lambda waiting: (due[waiting] > now, waiting.tried, due[waiting]), default=None)
                if chosen is not None and due[chosen] <= now:
                    chosen.in_hand = True
                    return chosen
                moments = [*due.values(), *([] if closing_at is None else [closing_at])]
                self._state.changed.wait(min(moments) - now if moments else None)

    def _free(self) -> list[_Waiting]:
        """Return the reports that no thread has in hand and that may be tried now, as far as others are concerned."""
        waiting = self._state.waiting
        # While the API is away one at a time is enough to see when it is back, and one of those that are new.
        busy = {each.tried for each in waiting if each.in_hand} if self._state.outage.lasts else set()
        return [each for each in waiting if not each.in_hand and each.tried not in busy]

    def _due_at(self, waiting: _Waiting) -> float:
        outage = self._state.outage
        if not outage.lasts:
            return waiting.due_at
        return max(waiting.due_at, outage.next_try_at if waiting.tried else outage.next_first_try_at)

    def _pause_seconds(self, pauses: Iterator[float]) -> float:
        """Return the next pause, shortened once the worker is about to end."""
        return min(
            next(pauses), self._limits.max_retry_pause if self._state.closing_at is None else CLOSING_PAUSE_SECONDS
        )

    def _try(self, claims: Claims, report: SpooledReport, within_seconds: float | None = None) -> bool:
        """Send a report once; return whether nothing more will be sent. `within_seconds` replaces the usual limit."""
        try:
            done = self._send(claims, report, within_seconds)
        except Exception as error:  # noqa: BLE001  # whatever one report causes, the thread must live for the others
            logs.logger().exception("crash", job_id=report.job_id, verb=report.verb, reason=repr(error))
            done = False
        with self._state.changed:
            outage, now = self._state.outage, time.monotonic()
            if done:
                self._state.outage = _Outage(self._limits.pauses())
            else:
                outage.lasts, outage.next_try_at = True, now + self._pause_seconds(outage.pauses)
                outage.next_first_try_at = now + self._pause_seconds(self._limits.pauses())
        return done

    def _send(self, claims: Claims, report: SpooledReport, within_seconds: float | None) -> bool:
        """Send a report once; return whether nothing more will be sent.

        That is so when the report was accepted, and also when it was refused, since the API would refuse it again. A
        report that cannot be read is given up: it will not be readable later either.
        """
        try:
            with report.open() as body:
                claims.report(report.job_id, report.verb, body, within_seconds or self._try_seconds(body))
        except ApiUnavailable:
            return False
        except ApiRefused as refused:
            logs.logger().warning("report_refused", job_id=report.job_id, verb=report.verb, reason=str(refused))
        except OSError as error:
            logs.logger().error("report_unreadable", job_id=report.job_id, verb=report.verb, reason=str(error))
        else:
            logs.logger().info(report.verb, job_id=report.job_id)
        with suppress(OSError):  # what cannot be removed is sent once more by the next worker, which changes nothing
            report.drop()
        report.on_done()
        return True

    def _try_seconds(self, body: IO[bytes]) -> float:
        if self._state.closing_at is None:
            return self._limits.later_try + body.seek(0, SEEK_END) / self._limits.bytes_per_second
        return min(self._limits.closing_try, max(self._state.closing_at - time.monotonic(), MIN_TRY_SECONDS))

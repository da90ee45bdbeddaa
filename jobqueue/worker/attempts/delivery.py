"""Sends reports until the API has answered them: at once when possible, otherwise from a thread that tries again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from jobqueue import logs
from jobqueue.backoff import backoff
from jobqueue.client.claims import Claims
from jobqueue.client.transport import ApiRefused, ApiUnavailable
from jobqueue.worker.attempts.spool import Spool, SpooledReport

CLOSING_PAUSE_SECONDS = 0.5
"""Longest pause between two tries once the worker is about to end."""

MIN_TRY_SECONDS = 0.1
"""The least time that a try gets, even when the time to close is nearly over."""


@dataclass(frozen=True)
class TimeLimits:
    """How long one try may take: the first (the slot waits for it), a later one, one while the worker is ending; and
    the bounds for the pause before a report is sent again. All in seconds.
    """

    first_try: float = 5.0
    later_try: float = 30.0
    closing_try: float = 3.0
    min_retry_pause: float = 0.25
    max_retry_pause: float = 5.0


class Delivery:
    """Delivers the reports in a spool. Any thread may call `deliver` and `leave`."""

    def __init__(self, spool: Spool, connect: Callable[[], Claims], limits: TimeLimits | None = None) -> None:
        self._spool = spool
        self._connect = connect
        self._limits = limits or TimeLimits()
        self._waiting: list[SpooledReport] = []
        self._changed = threading.Condition()
        self._closing_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    def start(self) -> None:
        """Start to send what waits, first of all what dead workers have left."""
        self._waiting += self._spool.adopt()
        self._thread.start()

    def deliver(self, claims: Claims, report: SpooledReport) -> None:
        """Send a report now, on the caller's connection; leave it to the thread when the API does not answer.

        While other reports wait, the API is most likely unavailable. Then the report is left to the thread at once.
        Otherwise every slot would wait for the time limit of a first try after every job, and run nothing meanwhile.
        """
        # The list is read without the lock. At worst that costs one try, or leaves a report to the thread needlessly.
        if self._waiting or not self._try(claims, report, self._limits.first_try):
            self.leave(report)

    def leave(self, report: SpooledReport) -> None:
        """Leave a report to the thread."""
        with self._changed:
            self._waiting.append(report)
            self._changed.notify_all()

    def wait_until_sent(self, seconds: float) -> bool:
        """Wait up to `seconds` until no report waits; return whether none does."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, seconds)

    def close(self, within_seconds: float) -> None:
        """Go on sending for that time at most, then leave the rest to the next worker on this host.

        Does nothing when it has been called before.
        """
        with self._changed:
            if self._closing_at is not None:
                return
            self._closing_at = time.monotonic() + within_seconds
            self._changed.notify_all()
        # A request that is under way may be held up far longer than its limit. The thread is a daemon: it is left
        # behind then, and the report that it was sending is still on disk.
        self._thread.join(within_seconds + 2 * MIN_TRY_SECONDS)
        lost = [report.job_id for report in self._waiting if not isinstance(report.stored, Path)]
        if lost:
            logs.logger().error("reports_lost", job_ids=" ".join(lost))
        self._spool.close()

    def _run(self) -> None:
        pauses = backoff(self._limits.min_retry_pause, self._limits.max_retry_pause)
        with closing(self._connect()) as claims:
            while self._wait_for_work():
                # Each round tries every report once. One that is never answered must not hold up those behind it.
                done = {report for report in list(self._waiting) if self._try(claims, report, self._try_seconds())}
                with self._changed:
                    self._waiting = [report for report in self._waiting if report not in done]
                    self._changed.notify_all()
                if done:
                    pauses = backoff(self._limits.min_retry_pause, self._limits.max_retry_pause)
                else:
                    self._pause(next(pauses))

    def _wait_for_work(self) -> bool:
        """Wait for a report; return False when the thread has to end: it is closing, and out of reports or of time."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing_at is not None)
            return bool(self._waiting) and (self._closing_at is None or time.monotonic() < self._closing_at)

    def _pause(self, seconds: float) -> None:
        """Pause before the next round. `close` ends the pause, which may be longer than the time to close."""
        with self._changed:
            closing_at = self._closing_at
            if closing_at is not None:
                seconds = min(seconds, CLOSING_PAUSE_SECONDS, max(closing_at - time.monotonic(), 0))
            self._changed.wait_for(lambda: self._closing_at != closing_at, seconds)

    def _try_seconds(self) -> float:
        if self._closing_at is None:
            return self._limits.later_try
        return min(self._limits.closing_try, max(self._closing_at - time.monotonic(), MIN_TRY_SECONDS))

    def _try(self, claims: Claims, report: SpooledReport, within_seconds: float) -> bool:
        """Send a report once; return whether nothing more will be sent.

        That is so when the report was accepted, and also when it was refused, since the API would refuse it again. A
        report that cannot be read is given up: it will not be readable later either.
        """
        try:
            with report.open() as body:
                claims.report(report.job_id, report.verb, body, within_seconds)
        except ApiUnavailable:
            return False
        except ApiRefused as refused:
            logs.logger().warning("report_refused", job_id=report.job_id, verb=report.verb, reason=str(refused))
        except OSError as error:
            logs.logger().error("report_unreadable", job_id=report.job_id, verb=report.verb, reason=str(error))
        except Exception as error:  # noqa: BLE001  # whatever one report causes, the thread must live for the others
            logs.logger().exception("crash", job_id=report.job_id, verb=report.verb, reason=repr(error))
            return False
        else:
            logs.logger().info(report.verb, job_id=report.job_id)
        report.drop()
        report.on_done()
        return True

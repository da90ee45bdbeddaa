"""Sends reports until the API has answered them: new ones together, and in the same request a claim for more jobs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from http import HTTPStatus
from os import SEEK_END
from typing import IO

from jobqueue import logs
from jobqueue.client.batches import Batches, Settled
from jobqueue.client.claims import Claims
from jobqueue.client.transport import ApiRefused, ApiUnavailable
from jobqueue.worker.reports.intake import Intake
from jobqueue.worker.reports.outage import TimeLimits
from jobqueue.worker.reports.outbox import Batch, Outbox, Single
from jobqueue.worker.reports.spool import Spool, SpooledReport

__all__ = ["SENDERS", "Delivery", "TimeLimits"]

SENDERS = 4
"""Threads that send, each on a connection of its own. One report that takes long does not hold up the others."""

MIN_TRY_SECONDS = 0.1
"""The least time that a try gets, even when the time to close is nearly over."""


class Delivery:
    """Delivers the reports in a spool. Any thread may call `leave`. `outbox` decides what is sent when."""

    def __init__(self, spool: Spool, connect: Callable[[], Batches], limits: TimeLimits | None = None) -> None:
        self._spool = spool
        self._limits = limits or TimeLimits()
        self._connections = [connect() for _ in range(SENDERS)]
        self._outbox = Outbox(self._limits, self._may_batch)
        self._threads = [
            threading.Thread(target=self._run, args=(each,), name="delivery", daemon=True) for each in self._connections
        ]

    def start(self) -> None:
        """Start to send what waits, first of all what dead workers have left."""
        self._outbox.add_found(self._spool.adopt())
        first, *others = self._threads
        first.start()
        with suppress(RuntimeError):  # the machine is out of threads; one is enough
            for thread in others:
                thread.start()

    def claim_along(self, intake: Intake) -> None:
        """Claim jobs along with reports from now on."""
        self._outbox.intake = intake

    def leave(self, report: SpooledReport) -> None:
        """Leave a report to the threads."""
        self._outbox.add(report)

    def wait_until_sent(self, seconds: float) -> bool:
        """Wait up to `seconds` until no report waits; return whether none does."""
        return self._outbox.wait_until_sent(seconds)

    def close(self, within_seconds: float) -> None:
        """Go on sending for that time at most, then leave the rest to the next worker on this host.

        Does nothing when it has been called before.
        """
        deadline = self._outbox.close(within_seconds)
        if deadline is None:
            return
        # A request that is under way may be held up far longer than its limit. The threads are daemons: they are left
        # behind then, and the reports that they were sending are still on disk.
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(deadline - time.monotonic(), 0) + 2 * MIN_TRY_SECONDS)
        lost = [report.job_id for report in self._outbox.remaining() if not report.is_on_disk]
        if lost:
            logs.logger().error("reports_lost", job_ids=" ".join(lost))
        self._spool.close()

    def _may_batch(self) -> bool:
        return not self._connections[0].older.assumed

    def _run(self, connection: Batches) -> None:
        with closing(connection):
            while (work := self._outbox.next()) is not None:
                if isinstance(work, Batch):
                    self._send_batch(connection, work)
                else:
                    self._outbox.finish_single(work, *self._try_single(connection.single, work))

    def _send_batch(self, connection: Batches, batch: Batch) -> None:
        """Send reports together, once. Those without an answer, and all when the API refuses the whole request, are
        sent again one by one: the one that is at fault must not hold up the others.
        """
        pause = 0.0
        read = [(report, result) for report in batch.reports if (result := self._read(report)) is not None]
        reports = [report for report, _ in read]
        try:
            again, answered = self._ask(connection, batch, reports, [result for _, result in read]), True
        except ApiRefused:
            again, answered = reports, True
            if batch.claim:
                self._outbox.intake.refused(batch.claim)
        except Exception as error:  # noqa: BLE001  # whatever one batch causes, the thread must live for the others
            again, answered = reports, False
            if isinstance(error, ApiUnavailable):
                pause = error.pause_seconds
            else:
                jobs = " ".join(report.job_id for report in reports)
                logs.logger().exception("crash", job_ids=jobs, reason=repr(error))
            if batch.claim:
                self._outbox.intake.repeat(batch.claim)
        self._outbox.finish_batch(batch, again, answered, pause)

    def _ask(
        self, connection: Batches, batch: Batch, reports: Sequence[SpooledReport], results: Sequence[bytes]
    ) -> list[SpooledReport]:
        """Send reports and the claim of a batch; return the reports that have to be sent again."""
        if not results:
            raise ApiRefused(HTTPStatus.BAD_REQUEST, "a batch needs a result", {})
        seconds = self._seconds(self._limits.first_try, sum(map(len, results)))
        finished = connection.finish(results, batch.claim, seconds)
        if batch.claim:  # before anything else: a slot may wait for a job
            self._outbox.intake.take(batch.claim, finished.jobs)
        return self._settle(reports, finished.results)

    def _settle(self, reports: Sequence[SpooledReport], answers: Sequence[Settled]) -> list[SpooledReport]:
        """Act on the answers to a batch; return the reports that have to be sent again."""
        done, again = [], []
        for report, answer in zip(reports, answers, strict=True):
            if answer.again:
                again.append(report)
                continue
            done.append(report)
            if answer.refusal:
                logs.logger().warning("report_refused", job_id=report.job_id, verb=report.verb, reason=answer.refusal)
            else:
                logs.logger().info(report.verb, job_id=report.job_id)
        self._finish(done)
        return again

    def _read(self, report: SpooledReport) -> bytes | None:
        """Return a report as a result of a batch; give it up when it cannot be read: it will not be readable later."""
        try:
            return report.result()
        except (OSError, ValueError) as error:
            self._give_up(report, error)
            return None

    def _try_single(self, claims: Claims, single: Single) -> tuple[bool, float]:
        """Send a report once; return whether nothing more will be sent, and how long the API wants to be left alone."""
        report = single.report
        try:
            return self._send(claims, single), 0.0
        except ApiUnavailable as error:
            return False, error.pause_seconds
        except Exception as error:  # noqa: BLE001  # whatever one report causes, the thread must live for the others
            logs.logger().exception("crash", job_id=report.job_id, verb=report.verb, reason=repr(error))
            return False, 0.0

    def _send(self, claims: Claims, single: Single) -> bool:
        """Send a report once; return whether nothing more will be sent. Raises ApiUnavailable.

        That is so when the report was accepted, and also when it was refused, since the API would refuse it again. A
        report that cannot be read is given up: it will not be readable later either.
        """
        report = single.report
        try:
            with report.open() as body:
                claims.report(report.job_id, report.verb, body, self._try_seconds(body))
        except ApiRefused as refused:
            logs.logger().warning("report_refused", job_id=report.job_id, verb=report.verb, reason=str(refused))
        except OSError as error:
            self._give_up(report, error)
            return True
        else:
            logs.logger().info(report.verb, job_id=report.job_id)
        self._finish([report])
        return True

    def _give_up(self, report: SpooledReport, error: Exception) -> None:
        logs.logger().error("report_unreadable", job_id=report.job_id, verb=report.verb, reason=str(error))
        self._finish([report])

    def _finish(self, reports: Sequence[SpooledReport]) -> None:
        self._spool.settle(reports)
        for report in reports:
            report.on_done()

    def _try_seconds(self, body: IO[bytes]) -> float:
        return self._seconds(self._limits.later_try, body.seek(0, SEEK_END))

    def _seconds(self, usual: float, byte_count: int) -> float:
        closing_at = self._outbox.closing_at
        if closing_at is None:
            return usual + byte_count / self._limits.bytes_per_second
        return min(self._limits.closing_try, max(closing_at - time.monotonic(), MIN_TRY_SECONDS))

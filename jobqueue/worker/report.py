"""Tells the API how a job ended, for as long as it takes the API to answer."""

from __future__ import annotations

import signal
import time

from jobqueue import logs
from jobqueue.client.claims import ClaimedJob, Claims, Report
from jobqueue.client.retry import until_answered
from jobqueue.client.transport import ApiRefused, ApiUnavailable
from jobqueue.worker.shutdown import Shutdown
from jobqueue.worker.supervisor import Outcome


def make_report(outcome: Outcome) -> Report:
    """Return what to report of a program that ended by itself: exit code 0 is a success, all else a failure."""
    if outcome.not_started is not None:
        return Report(None, error_message=outcome.not_started)
    message = None
    if outcome.signal is not None:
        message = f"killed by signal {outcome.signal} ({_signal_name(outcome.signal)})"
    elif outcome.exit_code != 0:
        message = f"exited with code {outcome.exit_code}"
    return Report(outcome.exit_code, outcome.stdout, outcome.stderr, message)


def deliver(claims: Claims, job: ClaimedJob, report: Report, shutdown: Shutdown) -> None:
    """Send a report until it is answered. Once the worker is to stop it is sent for one lease longer at most: after
    that the job is somebody else's.
    """
    give_up_at: float | None = None

    def pause(seconds: float) -> bool:
        nonlocal give_up_at
        if shutdown.wait(seconds):
            return True
        give_up_at = give_up_at or time.monotonic() + job.lease_ms / 1000
        time.sleep(seconds)
        return time.monotonic() < give_up_at

    try:
        until_answered(report.verb, lambda: claims.report(job, report), pause)
    except ApiRefused as refused:
        logs.logger().warning("report_refused", job_id=job.id, reason=str(refused))
    except ApiUnavailable as error:
        logs.logger().error("report_given_up", job_id=job.id, reason=str(error))
    else:
        logs.logger().info(report.verb, job_id=job.id, exit_code=report.exit_code, reason=report.error_message)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"

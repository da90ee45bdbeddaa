"""One attempt at a job, from its claim to its report."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from jobqueue import logs
from jobqueue.client.claims import ClaimedJob, Claims
from jobqueue.job import Reason
from jobqueue.worker.attempts.attempt import Attempt, Cause
from jobqueue.worker.attempts.environment import variables_of
from jobqueue.worker.attempts.heartbeat import Heartbeat, StopPolicy
from jobqueue.worker.attempts.quarantine import SetAside
from jobqueue.worker.attempts.report import Report, ended, failed, like_sigterm, released
from jobqueue.worker.attempts.spool import Entry, Spool
from jobqueue.worker.programs.download import BlockedByPolicy, ChecksumMismatch, DownloadFailed, DownloadStopped
from jobqueue.worker.shutdown import Shutdown
from jobqueue.worker.slots.slot import SlotDied
from jobqueue.worker.slots.workspace import Workspace, Workspaces
from jobqueue.worker.supervisor.messages import Launch, Outcome

REMOVING_SECONDS = 1.0
"""How long a report waits for the removal of what its job has left."""

PLATFORM_SECONDS = 1.0
"""How long after the program the worker may get the SIGTERM that a platform sends to both."""


class Programs(Protocol):
    """Where programs come from."""

    def fetch(self, url: str, sha256: str, target: Path, stopped: threading.Event) -> bool:
        """Put a program with that hash at `target`, executable. Raises what `download` raises."""


class WorkerFault(Exception):
    """The attempt could not be made through no fault of the job's (disk full, supervisor killed)."""


@dataclass(frozen=True)
class Means:
    """What attempts are made with: shared by all slots of a worker."""

    connect: Callable[[], Claims]
    programs: Programs
    workspaces: Workspaces
    spool: Spool
    shutdown: Shutdown
    variables: Mapping[str, str]
    """What every program finds in its environment, besides what its job says."""
    set_aside: SetAside = field(default_factory=SetAside)
    stop_policy: StopPolicy = field(default_factory=StopPolicy)
    job_timeout_seconds: float | None = None
    hidden: Sequence[Path] = ()
    """Directories that no program is to see, where its isolation can hide them."""


class Runner:
    """Makes attempts and reports them, one at a time."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._claims = means.connect()

    def close(self) -> None:
        """Close the connection."""
        self._claims.close()

    def run(self, attempt: Attempt) -> bool | None:
        """Make an attempt and report it, unless its lease is lost meanwhile. Return whether it was made, None for a job
        that was set aside.

        A job that the worker cannot run is given back and WorkerFault raised. When that happens with the same job again
        nothing is raised, since it may well be the job's doing; it is set aside, to be given back later. When its
        supervisor dies while it runs, it is left until its lease ends: it may have been the job that killed it, and
        lost attempts are counted.
        """
        heartbeat = Heartbeat(self._means.connect(), attempt, self._means.stop_policy)
        try:
            return self._run_and_report(attempt, heartbeat)
        except WorkerFault:
            raise  # it is reported; heartbeats go on until that is answered
        except BaseException:
            heartbeat.stop()  # else the lease of a job that nobody runs would be renewed for ever
            raise

    def _run_and_report(self, attempt: Attempt, heartbeat: Heartbeat) -> bool | None:
        with ExitStack() as last:
            try:
                heartbeat.start()
                entry = self._attempt(attempt, heartbeat.stop, last)
            except SlotDied as died:
                if not died.begun:
                    self._at_fault(attempt, heartbeat, died)
                    return None
                logs.logger().error("attempt_abandoned", job_id=attempt.job.id, reason=str(died))
                entry = None
            except Exception as error:  # noqa: BLE001  # whatever one job makes us meet, the worker lives for the next
                self._at_fault(attempt, heartbeat, error)
                return None
            if entry is None:
                heartbeat.stop()
            else:
                self._means.spool.deliver(self._claims, entry)
            return True

    def give_back(self, job: ClaimedJob) -> None:
        """Release a job that was claimed too late to be begun."""
        self._means.spool.leave(self._write(job, released(Reason.WORKER_SHUTDOWN), lambda: None))

    def _at_fault(self, attempt: Attempt, heartbeat: Heartbeat, error: Exception) -> None:
        """Give a job back that could not be run, or set it aside. Raises WorkerFault when it is given back."""

        def give_back() -> None:
            if attempt.cause is Cause.LEASE_LOST:
                heartbeat.stop()
            else:
                self._means.spool.leave(self._write(attempt.job, released(None), heartbeat.stop))

        reason = str(error) if isinstance(error, WorkerFault | SlotDied) else f"{type(error).__name__}: {error}"
        if heartbeat.beating and self._means.set_aside.keep(attempt, give_back):
            logs.logger().error("worker_fault", job_id=attempt.job.id, reason=reason, again=True)
            return
        self._send(attempt.job, released(None), heartbeat.stop)
        raise WorkerFault(reason) from error

    def _attempt(self, attempt: Attempt, on_answered: Callable[[], None], last: ExitStack) -> Entry | None:
        """Return the report, on disk before anything is removed; None when the lease was lost.

        Removing what the job has left may take long: the rest of it is the `last` thing to be waited for. Raises
        WorkerFault, SlotDied and whatever goes wrong.
        """
        workspace = self._means.workspaces.create(attempt.job.id, attempt.slot.isolation)
        try:
            report = self._run(attempt, workspace)
            return None if report is None else self._write(attempt.job, report, on_answered)
        finally:
            last.callback(workspace.remove_within(REMOVING_SECONDS))

    def _run(self, attempt: Attempt, workspace: Workspace) -> Report | None:
        job = attempt.job
        download_started_at_ms = time.time_ns() // 1_000_000
        try:
            self._means.programs.fetch(job.binary_url, job.binary_sha256, workspace.program, attempt.stopped)
        except DownloadStopped:
            return self._stopped(attempt)
        except DownloadFailed as error:
            return failed(_reason_of(error), str(error), download_started_at_ms=download_started_at_ms)
        logs.logger().info("start", job_id=job.id)
        workspace.program.chmod(attempt.slot.isolation.program_mode())
        outcome = attempt.slot.run(self._launch(job, workspace), attempt.stopped, attempt.live.add)
        return self._report(attempt, outcome, download_started_at_ms)

    def _report(self, attempt: Attempt, outcome: Outcome, download_started_at_ms: int) -> Report | None:
        if outcome.host_fault:
            raise WorkerFault(outcome.start_failure)
        if outcome.start_failure is not None:
            return failed(Reason.EXEC_FAILED, outcome.start_failure, download_started_at_ms=download_started_at_ms)
        if outcome.stopped and (outcome.exit_code is None or attempt.cause is not Cause.CANCELLED):
            return self._stopped(attempt)
        if self._ended_by_the_platform(outcome):
            return released(Reason.WORKER_SHUTDOWN)
        timeout = self._timeout(attempt.job)
        return ended(outcome, timeout, cancelled=outcome.stopped, download_started_at_ms=download_started_at_ms)

    def _stopped(self, attempt: Attempt) -> Report | None:
        """Return what to say of an attempt that was stopped and whose outcome is of no interest."""
        if attempt.cause is Cause.CANCELLED:
            return failed(Reason.CANCELLED, "cancelled before it began")
        return released(Reason.WORKER_SHUTDOWN) if attempt.cause is Cause.SHUTDOWN else None

    def _ended_by_the_platform(self, outcome: Outcome) -> bool:
        """Whether a program has failed because SIGTERM was sent to every process there is.

        That is no failure of the job. The supervisor has had the signal then, too, or the program died of it; the
        worker may have it a moment later. A job that sends it to others than itself has failed all the same.
        """
        if outcome.exit_code == 0 or outcome.timed_out or outcome.stopped:
            return False
        return (outcome.supervisor_terminated or like_sigterm(outcome)) and not self._means.shutdown.wait(
            PLATFORM_SECONDS
        )

    def _launch(self, job: ClaimedJob, workspace: Workspace) -> Launch:
        timeout = self._timeout(job)
        return Launch(
            program=str(workspace.program),
            arguments=job.arguments,
            environment=variables_of(job, self._means.variables, workspace.directory, timeout),
            directory=str(workspace.directory),
            timeout_seconds=timeout,
            kill_grace_seconds=self._means.stop_policy.kill_grace_seconds,
        )

    def _timeout(self, job: ClaimedJob) -> float | None:
        return self._means.job_timeout_seconds if job.timeout_seconds is None else job.timeout_seconds

    def _send(self, job: ClaimedJob, report: Report, on_answered: Callable[[], None]) -> None:
        self._means.spool.deliver(self._claims, self._write(job, report, on_answered))

    def _write(self, job: ClaimedJob, report: Report, on_answered: Callable[[], None]) -> Entry:
        logs.logger().info("ended", job_id=job.id, verb=report.verb, reason=report.fields["reason"])
        return self._means.spool.write(job.id, report.verb, report.body(self._claims.holder(job)), on_answered)


def _reason_of(error: DownloadFailed) -> Reason:
    if isinstance(error, ChecksumMismatch):
        return Reason.CHECKSUM_MISMATCH
    return Reason.BLOCKED_BY_POLICY if isinstance(error, BlockedByPolicy) else Reason.DOWNLOAD_FAILED

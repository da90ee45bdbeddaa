"""Makes one attempt at a job: fetches the program, runs it, reports how it ended."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from functools import partial

from jobqueue import logs
from jobqueue.client.claimed_job import ClaimedJob
from jobqueue.job import Reason
from jobqueue.worker.attempts.attempt import Attempt, Cause, Verdict
from jobqueue.worker.attempts.environment import user_name, variables_of
from jobqueue.worker.attempts.host_fault import HostFault, detail_of, fault_of, server_of
from jobqueue.worker.attempts.platform_stop import ended_by_platform
from jobqueue.worker.attempts.resources import Resources
from jobqueue.worker.failures import Failure
from jobqueue.worker.programs.errors import DownloadFailed, DownloadStopped
from jobqueue.worker.programs.program_request import ProgramRequest
from jobqueue.worker.programs.verified_copy import VerifiedFile
from jobqueue.worker.reports.report import Report, ended, failed, released
from jobqueue.worker.reports.spool import SpooledReport
from jobqueue.worker.slots.program_name import program_name
from jobqueue.worker.slots.slot import SupervisorDied
from jobqueue.worker.slots.workspace import Workspace
from jobqueue.worker.supervisor.messages import Launch, Outcome

REMOVAL_WAIT_SECONDS = 1.0
"""How long a report waits for the removal of what its job has left."""

NOT_BEGUN = "it was claimed ahead, and the worker had no slot for it"


class Runner:
    """Makes attempts and reports them. Any thread may use it."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._user_names: dict[int | None, str] = {}

    def run(self, attempt: Attempt) -> Verdict:
        """Make an attempt, whose lease is being renewed, and report it.

        When the lease is lost, the program is stopped and there is no report about it. A report that exists already,
        or the release after a host fault, is still sent: the API decides whether it counts.

        The lease is renewed until the report is answered, which may be long after this returns. If the lease ended
        while the report waits for an unavailable API, the job would run again although its result is known.

        Four things end the heartbeats, so that the lease of a job that no longer runs is not renewed for ever: the
        report is done with, there is nothing to report, the lease is lost, or an exception leaves no report.
        """
        try:
            return self._run(attempt)
        except BaseException:
            self._resources.heartbeats.remove(attempt)
            raise

    def release(self, attempt: Attempt, drains: bool) -> None:
        """Release the job of an attempt that has not begun, because the worker `drains` or has no slot for it."""
        report = released(Reason.WORKER_SHUTDOWN) if drains else released(None, NOT_BEGUN)
        spooled = self._write(attempt, report)
        attempt.is_reported = True
        self._resources.delivery.leave(spooled)

    def _run(self, attempt: Attempt) -> Verdict:
        """Make the attempt, in this order.

        1. Make the workspace.
        2. Run the program and write the report to disk. A job can leave a million files, and the worker may be killed
           while it removes them: the result must not be lost then.
        3. Start the removal of the workspace and wait for it a little, so that a job that has been reported has
           normally left nothing behind.
        4. Leave the report to the delivery.
        5. Wait for the rest of the removal, since jobs must not use up the disk faster than it is cleared.

        A host fault in 1 or 2 leaves no result that could be lost. The release comes after 3.
        """
        with ExitStack() as removal:
            try:
                name = program_name(attempt.job.binary_url)
                workspace = self._resources.workspaces.create(attempt.job.id, attempt.slot.isolation, name)
                try:
                    report = self._make(attempt, workspace)
                    spooled = None if report is None else self._write(attempt, report)
                    verdict = Verdict.MADE if report and report.has_exit_code else Verdict.NEITHER
                finally:
                    wait_for_rest = workspace.remove_within(REMOVAL_WAIT_SECONDS)
                    removal.callback(wait_for_rest)
            except Exception as error:  # noqa: BLE001  # whatever one job causes, the worker must live for the next
                spooled = self._release_after_fault(attempt, error)
                verdict = Verdict.HOST_FAULT
            self._note(attempt, verdict)
            if spooled is not None:
                attempt.is_reported = True
                self._resources.delivery.leave(spooled)
            else:  # nothing to report: let the lease end
                self._resources.heartbeats.remove(attempt)
            return verdict

    def _note(self, attempt: Attempt, verdict: Verdict) -> None:
        # The breaker has to know before the report goes out: the delivery claims another job with it, and this may have
        # been one fault too many.
        if verdict is Verdict.MADE:
            self._resources.breaker.note_made()
        elif verdict is Verdict.HOST_FAULT:
            self._resources.breaker.note_fault(attempt.job.id, attempt.fault_subject)

    def _make(self, attempt: Attempt, workspace: Workspace) -> Report | None:
        """Fetch the program, run it and return the report, None when there is nothing to say.

        Raises HostFault, SupervisorDied and whatever else goes wrong on this machine.
        """
        with closing(VerifiedFile()) as verified:
            return self._make_of(attempt, workspace, verified)

    def _make_of(self, attempt: Attempt, workspace: Workspace, verified: VerifiedFile) -> Report | None:
        job = attempt.job
        if refusal := self._resources.signatures.refusal_of(job):
            logs.logger().warning("job_blocked", job_id=job.id, reason=refusal)
            return failed(Failure.UNTRUSTED.reason, refusal)
        download_started_at_ms = time.time_ns() // 1_000_000
        try:
            self._fetch(attempt, workspace, verified)
        except DownloadStopped:
            attempt.stop(Cause.SHUTDOWN)  # unless something else has stopped it: the worker does not wait any longer
            return _report_of_stopped(attempt.cause)
        except DownloadFailed as error:
            if error.concealed_for is not None:
                logs.logger().warning("download_failed", job_id=job.id, reason=error.detail)
            if not error.failure.final:
                raise HostFault(error.failure.reason, str(error), server_of(job.binary_url)) from error
            return failed(error.failure.reason, str(error), download_started_at_ms=download_started_at_ms)
        logs.later("start", job_id=job.id)
        verified.chmod(attempt.slot.isolation.program_mode)
        outcome = self._launch(attempt, workspace, verified)
        return None if outcome is None else self._report(attempt, outcome, download_started_at_ms)

    def _fetch(self, attempt: Attempt, workspace: Workspace, verified: VerifiedFile) -> None:
        job, shutdown = attempt.job, self._resources.shutdown

        def may_wait() -> bool:
            # A worker that shuts down lets a download go on, as it lets programs go on. But it gives a job that waits
            # for its server to another worker at once.
            return not shutdown.requested

        request = ProgramRequest(
            job.binary_url, job.binary_sha256, workspace.program, attempt.stopped, may_wait, verified
        )
        self._resources.programs.fetch_requested(request)

    def _launch(self, attempt: Attempt, workspace: Workspace, verified: VerifiedFile) -> Outcome | None:
        """Run the program to its end; return None when its supervisor was killed while it ran.

        That attempt is not reported: the job waits until its lease ends. The job itself may have killed the supervisor,
        and a lost attempt counts against the job, while a release would blame this host. Before the program has begun,
        the job cannot be the culprit; that raises SupervisorDied.
        """
        job, program, directory = attempt.job, str(workspace.program), str(workspace.directory)
        timeout_seconds = self._timeout_seconds(job)
        user = self._user_name(attempt.slot.isolation.uid)
        variables = variables_of(job, self._resources.variables, workspace.directory, timeout_seconds, user)
        kill_grace_seconds = self._resources.stop_policy.kill_grace_seconds
        limits = timeout_seconds, kill_grace_seconds
        launch = Launch(program, job.arguments, variables, directory, *limits, program_number=verified.number)
        try:
            outcome = attempt.slot.run(launch, attempt.stopped, attempt.live_output.add, lambda: attempt.lease_end)
        except SupervisorDied as died:
            if not died.begun:
                raise
            logs.logger().error("attempt_abandoned", job_id=job.id, reason=str(died))
            return None
        if outcome.lease_over:
            attempt.lose_lease("the supervisor received no renewal for most of a lease")
        return outcome

    def _user_name(self, uid: int | None) -> str:
        """Return the name of a slot's user. The host is asked once: that costs as much as the rest of a launch."""
        if uid not in self._user_names:
            self._user_names[uid] = user_name(uid)
        return self._user_names[uid]

    def _report(self, attempt: Attempt, outcome: Outcome, download_started_at_ms: int) -> Report | None:
        """Return what to say about a launch. Raises HostFault."""
        if outcome.start_failure is not None:
            failure = outcome.failure or Failure.HOST
            if not failure.final:
                subject = "" if failure is Failure.HOST else attempt.job.binary_sha256
                raise HostFault(failure.reason, outcome.start_failure, subject)
            return failed(failure.reason, outcome.start_failure, download_started_at_ms=download_started_at_ms)
        # A program without an exit code was stopped before it began, so it has no result. The result of one that ran is
        # reported only if the job was cancelled. For the other causes the job has to run again, even if the program
        # exited with code 0 after SIGTERM: it may not have done its work.
        if outcome.stopped and (outcome.exit_code is None or attempt.cause is not Cause.CANCELLED):
            return _report_of_stopped(attempt.cause)
        if ended_by_platform(outcome, self._resources.shutdown):
            return released(Reason.WORKER_SHUTDOWN)
        timeout_seconds = self._timeout_seconds(attempt.job)
        return ended(outcome, timeout_seconds, outcome.stopped, download_started_at_ms=download_started_at_ms)

    def _release_after_fault(self, attempt: Attempt, error: Exception) -> SpooledReport:
        """Return the report that releases a job that could not be run here. The server delays its next attempt, offers
        it to other executors first, and fails it after a few such attempts. Whatever goes wrong on this machine while
        the worker shuts down is no host fault: the job would have been released anyway, and that is not counted.
        """
        fault = fault_of(error)
        attempt.fault_subject = fault.subject
        logs.logger().error("host_fault", job_id=attempt.job.id, reason=detail_of(error))
        shuts_down = attempt.cause is Cause.SHUTDOWN and fault.reason is Reason.HOST_FAULT
        report = released(Reason.WORKER_SHUTDOWN) if shuts_down else released(fault.reason, str(fault))
        return self._write(attempt, report)

    def _write(self, attempt: Attempt, report: Report) -> SpooledReport:
        job = attempt.job
        logs.logger().info("ended", job_id=job.id, verb=report.verb, reason=report.fields["reason"])
        holder = {"executor_id": self._resources.executor_id, "attempt_token": job.attempt_token}
        on_done = partial(self._resources.heartbeats.remove, attempt)
        line = report.line(job.id, holder)
        if line is not None:
            return self._resources.spool.append(job.id, report.verb, line, on_done)
        return self._resources.spool.write(job.id, report.verb, report.body(holder), on_done)

    def _timeout_seconds(self, job: ClaimedJob) -> float | None:
        """Return a job's time limit. A server that has a default puts it into the job; this one is the worker's own."""
        return self._resources.job_timeout_seconds if job.timeout_seconds is None else job.timeout_seconds


def _report_of_stopped(cause: Cause | None) -> Report | None:
    """Return the report of an attempt whose program never ran or whose result does not count; None for a lost lease.

    A job whose lease was lost may already run elsewhere, and the API would refuse any report about this attempt.
    """
    if cause is Cause.CANCELLED:
        return failed(Reason.CANCELLED, "cancelled before it began")
    return released(Reason.WORKER_SHUTDOWN) if cause is Cause.SHUTDOWN else None

"""One attempt at a job, from its claim to its report."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from jobqueue import logs
from jobqueue.client.claims import ClaimedJob, Claims, Report
from jobqueue.worker.download import DownloadFailed, DownloadStopped, download
from jobqueue.worker.heartbeat import Heartbeat
from jobqueue.worker.process import Launch
from jobqueue.worker.report import deliver, make_report
from jobqueue.worker.shutdown import Shutdown
from jobqueue.worker.slot import Slot
from jobqueue.worker.supervisor import Outcome
from jobqueue.worker.workspace import Workspace

DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
DEFAULT_LANG = "C.UTF-8"
PLATFORM_SECONDS = 1.0
"""How long after the program the worker may get the SIGTERM that a platform sends to both."""


class WorkerFault(Exception):
    """The attempt could not be made through no fault of the job's (disk full, supervisor killed).

    Nothing is reported: the job goes back to the queue when the lease ends.
    """


class Runner:
    """Makes attempts, one at a time, with what the worker hands it."""

    def __init__(
        self,
        connect: Callable[[], Claims],
        slot: Slot,
        shutdown: Shutdown,
        variables: Mapping[str, str],
    ) -> None:
        self._claims = connect()
        self._beats = connect()
        self._slot = slot
        self._shutdown = shutdown
        self._variables = variables

    def run(self, job: ClaimedJob) -> None:
        """Make one attempt and report it, unless the lease is lost meanwhile. Raises WorkerFault."""
        with Heartbeat(self._beats, job, self._slot.stop) as heartbeat:
            try:
                report = self._attempt(job, heartbeat)
            except Exception as error:  # whatever one job makes us meet, the worker lives for the next
                raise WorkerFault(f"{type(error).__name__}: {error}") from error
            if report is not None:
                deliver(self._claims, job, report, self._shutdown)

    def _attempt(self, job: ClaimedJob, heartbeat: Heartbeat) -> Report | None:
        """Return what to report, None when the lease was lost."""
        with Workspace() as workspace:
            try:
                download(job.binary_url, job.binary_sha256, workspace.program, heartbeat.lost)
            except DownloadStopped:
                return None
            except DownloadFailed as failed:
                return Report(None, error_message=str(failed))
            logs.logger().info("start", job_id=job.id)
            outcome = self._slot.run(self._launch(job, workspace), heartbeat.lost)
        return None if outcome.stopped or self._ended_by_the_platform(outcome) else make_report(outcome)

    def _ended_by_the_platform(self, outcome: Outcome) -> bool:
        """Whether the program was ended by a SIGTERM that went to every process there is, us included.

        That is no failure of the job, and nothing is reported: it runs again elsewhere. The program may have had its
        signal before we had ours.
        """
        return outcome.signal == signal.SIGTERM and not self._shutdown.wait(PLATFORM_SECONDS)

    def _launch(self, job: ClaimedJob, workspace: Workspace) -> Launch:
        environment = own_variables(self._variables, workspace.directory) | dict(job.env_variables)
        return Launch(str(workspace.program), job.arguments, environment, str(workspace.directory))


def own_variables(variables: Mapping[str, str], directory: Path) -> dict[str, str]:
    """Return all that a job gets beside what it asked for. Nothing else of the worker's environment reaches it."""
    return {
        "PATH": variables.get("PATH", DEFAULT_PATH),
        "LANG": variables.get("LANG", DEFAULT_LANG),
        "HOME": str(directory),
        "TMPDIR": str(directory),
    }

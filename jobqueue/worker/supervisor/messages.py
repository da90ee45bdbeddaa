"""What the worker and a supervisor tell each other."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jobqueue.job import Measured
from jobqueue.worker.supervisor.output_file import Outputs


@dataclass(frozen=True)
class Launch:
    """What to start: the file, its arguments, its whole environment, the directory to start it in, and how long it may
    run: after `timeout_seconds` it gets SIGTERM, and SIGKILL when it has not ended `kill_grace_seconds` later.
    """

    program: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    directory: str
    timeout_seconds: float | None = None
    kill_grace_seconds: float = 10.0


@dataclass(frozen=True)
class Outcome:
    """How a launch ended: with an exit code (128 + n when signal n killed the program), or by failing to start.

    stopped: the worker asked the program to end, and it had not ended before.
    timed_out: it ran for as long as it may.
    start_failure: why the program could not be started; None when it was.
    host_fault: the start failed because of this machine, not because of the program.
    supervisor_terminated: the supervisor got a SIGTERM, too, so somebody sends it to every process.
    oom_killed: the kernel killed the program because memory ran out.
    measured: how the run went.
    outputs: what the program wrote; None when it never ran.
    """

    exit_code: int | None = None
    stopped: bool = False
    timed_out: bool = False
    start_failure: str | None = None
    host_fault: bool = False
    supervisor_terminated: bool = False
    oom_killed: bool = False
    measured: Measured = field(default_factory=Measured)
    outputs: Outputs | None = field(default=None, compare=False)

    @property
    def stdout(self) -> str:
        """What the program wrote to standard output: both ends of it when that is a lot."""
        return self.outputs.read()["stdout"] if self.outputs else ""

    @property
    def stderr(self) -> str:
        """What the program wrote to standard error: both ends of it when that is a lot."""
        return self.outputs.read()["stderr"] if self.outputs else ""


def signal_name(number: int) -> str:
    """Return a signal's name: `SIGKILL`, `SIGRTMIN+3` (or, of those that libraries use, `SIGRTMIN-2`)."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN{number - signal.SIGRTMIN:+d}"

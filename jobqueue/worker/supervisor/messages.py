"""What the worker and a supervisor tell each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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
class Usage:
    """What a program and all it started used."""

    user_cpu_seconds: float
    system_cpu_seconds: float
    peak_memory_bytes: int


@dataclass(frozen=True)
class Outcome:
    """How a launch ended: with an exit code or by a signal; or with why it could not be started.

    stopped: the worker asked for its end before it came. timed_out: it had run for as long as it may.
    not_started: no program that could be started, `faulty_machine` when that is not the program's fault.
    told_to_end: the supervisor, too, was sent a SIGTERM: somebody sends them to everybody.
    met_oom_killer: memory ran out while it ran. Times are milliseconds since 1970.
    """

    exit_code: int | None = None
    signal: int | None = None
    stopped: bool = False
    timed_out: bool = False
    not_started: str | None = None
    faulty_machine: bool = False
    told_to_end: bool = False
    met_oom_killer: bool = False
    started_at_ms: int | None = None
    ended_at_ms: int | None = None
    usage: Usage | None = None
    told_of_outputs: dict[str, object] = field(default_factory=dict)
    outputs: Outputs | None = field(default=None, compare=False)

    @property
    def stdout(self) -> str:
        """What the program wrote there, its two ends when that is a lot."""
        return self.outputs.read()["stdout"] if self.outputs else ""

    @property
    def stderr(self) -> str:
        """What the program wrote there, its two ends when that is a lot."""
        return self.outputs.read()["stderr"] if self.outputs else ""

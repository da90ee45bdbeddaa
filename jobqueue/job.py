"""A job is one run of a program that a client asked for. This module defines it and the attempts made at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """The status of a job. A job has exactly one at any moment; the last three are final."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Priority(StrEnum):
    """The queue in which a job waits, in the order in which executors empty the queues."""

    FOREGROUND = "foreground"
    BACKGROUND = "background"
    BEST_EFFORT = "best_effort"


class AttemptStatus(StrEnum):
    """The status of one executor's attempt at a job. All but the first are final."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    LOST = "lost"
    RELEASED = "released"
    CANCELLED = "cancelled"


class Stream(StrEnum):
    """The output streams of a program."""

    STDOUT = "stdout"
    STDERR = "stderr"


class Reason(StrEnum):
    """Why an attempt ended, or why it never began. The list is closed, because users write rules about these words.

    EXITED, SIGNALLED: the program ended by itself or was killed by a signal. TIMEOUT: it reached its time limit.
    CANCELLED: its cancellation was requested. CHECKSUM_MISMATCH, DOWNLOAD_FAILED: the program could not be downloaded.
    BLOCKED_BY_POLICY: the executor's settings forbid the job, because of where its program comes from, of the program
    itself, or of who signed the job. EXEC_FAILED: it could not be started. OUTPUT_LIMIT: it wrote more than the
    executor allows. OOM_KILLED: the machine ran out of memory. WORKER_SHUTDOWN, LEASE_LOST: the executor stopped or
    fell silent; that is not the job's fault. HOST_FAULT: the executor's host lacked something else, such as space on
    its disk.
    """

    EXITED = "exited"
    SIGNALLED = "signalled"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    CHECKSUM_MISMATCH = "checksum_mismatch"
    DOWNLOAD_FAILED = "download_failed"
    EXEC_FAILED = "exec_failed"
    OUTPUT_LIMIT = "output_limit"
    OOM_KILLED = "oom_killed"
    WORKER_SHUTDOWN = "worker_shutdown"
    LEASE_LOST = "lease_lost"
    BLOCKED_BY_POLICY = "blocked_by_policy"
    HOST_FAULT = "host_fault"


HOST_FAULTS = frozenset({Reason.DOWNLOAD_FAILED, Reason.BLOCKED_BY_POLICY, Reason.EXEC_FAILED, Reason.HOST_FAULT})
"""The reasons of a release after a host fault: another host could perhaps run the job, or the same host later."""

RELEASES = HOST_FAULTS | {Reason.WORKER_SHUTDOWN}
"""The reasons that a release may have. The others are about a program that ran, or certainly the job's own fault."""


@dataclass(frozen=True)
class Spec:
    """What to run: a program by its URL and SHA-256 (64 lower-case hexadecimal digits), its arguments and environment,
    and its time limit in seconds (None for no limit).

    `signature` is for the executor alone: the envelope with which the job was submitted, not verified; None without
    one. It repeats the arguments and variables.
    """

    binary_url: str
    binary_sha256: str
    arguments: Sequence[str] = ()
    env_variables: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float | None = None
    signature: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class NewJob:
    """A job as a client submits it."""

    type: str
    priority: Priority
    spec: Spec


@dataclass(frozen=True)
class Attempt:
    """One executor's attempt at a job. Times are milliseconds since 1970.

    `ended_at_ms` is None while the attempt runs. `reason` says why it ended; None while it runs and if it is unknown.
    `error_message` is what the executor said about that; None if it said nothing.
    """

    executor_id: str
    executor_ip: str | None
    started_at_ms: int
    ended_at_ms: int | None
    status: AttemptStatus
    reason: Reason | None = None
    error_message: str | None = None


@dataclass(frozen=True)
class Measured:
    """How a run went, as its executor measured it; None where the executor did not say.

    This is the only list of these fields: schemas and answers are made from it. Times are read from the executor's own
    clock.
    """

    signal: str | None = None
    """The name of the signal that ended the program, like `SIGKILL`."""

    stdout_bytes: int | None = None
    """How many bytes the program wrote to its standard output, kept or not."""

    stderr_bytes: int | None = None
    """How many bytes the program wrote to its standard error, kept or not."""

    stdout_truncated: bool = False
    """Whether the stored standard output is shorter than what the program wrote."""

    stderr_truncated: bool = False
    """Whether the stored standard error is shorter than what the program wrote."""

    user_cpu_seconds: float | None = None
    """CPU time that the program and its child processes spent in user mode, in seconds."""

    system_cpu_seconds: float | None = None
    """CPU time that the program and its child processes spent in the kernel, in seconds."""

    peak_memory_bytes: int | None = None
    """The largest resident memory of a single process of the program, in bytes."""

    download_started_at_ms: int | None = None
    """When the executor began to fetch the program, in milliseconds since 1970."""

    program_started_at_ms: int | None = None
    """When the program was started, in milliseconds since 1970."""

    program_ended_at_ms: int | None = None
    """When the program ended, in milliseconds since 1970."""

    def length_of_truncated(self, stream: Stream) -> int | None:
        """Return how many bytes the program wrote to a stream that is not stored whole; None for any other stream."""
        if stream is Stream.STDOUT:
            return self.stdout_bytes if self.stdout_truncated else None
        return self.stderr_bytes if self.stderr_truncated else None


@dataclass(frozen=True)
class JobSummary:
    """What a list says about a job. Times are milliseconds since 1970, None for what has not happened yet."""

    id: str
    type: str
    priority: Priority
    status: Status
    executor_id: str | None
    created_at_ms: int
    started_at_ms: int | None


@dataclass(frozen=True)
class Job(JobSummary):
    """Everything about a job except the token of its running attempt, which only its executor may know.

    `cancel_requested` is whether its cancellation was requested while it ran; it may have ended otherwise all the same.
    `attempts` are in order, the oldest first; a running attempt is the last.
    """

    spec: Spec
    completed_at_ms: int | None
    exit_code: int | None
    stdout: str
    stderr: str
    error_message: str | None
    reason: Reason | None
    measured: Measured
    cancel_requested: bool
    attempts: Sequence[Attempt]

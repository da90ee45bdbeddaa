"""A job: one run of a program that a client asked for, and the attempts made at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Status(StrEnum):
    """What a job is at any moment, exactly one of these. The last three are final."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Priority(StrEnum):
    """Which queue a job waits in, in the order in which executors empty them."""

    FOREGROUND = "foreground"
    BACKGROUND = "background"
    BEST_EFFORT = "best_effort"


class AttemptStatus(StrEnum):
    """How an executor's try at a job stands, or how it ended."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    LOST = "lost"
    RELEASED = "released"
    CANCELLED = "cancelled"


class Stream(StrEnum):
    """What a program writes to."""

    STDOUT = "stdout"
    STDERR = "stderr"


class Reason(StrEnum):
    """Why an attempt ended, or why it never began. The list is closed: people write rules about its words.

    EXITED and SIGNALLED: the program ended by itself. TIMEOUT: it had run for `timeout_seconds`. CANCELLED: somebody
    asked for it. CHECKSUM_MISMATCH, DOWNLOAD_FAILED, BLOCKED_BY_POLICY: the program was not had, or not allowed.
    EXEC_FAILED: it is no program that can be started. OUTPUT_LIMIT: it wrote more than an executor puts up with.
    OOM_KILLED: the machine ran out of memory. WORKER_SHUTDOWN and LEASE_LOST: the executor went, no fault of the job's.
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


@dataclass(frozen=True)
class Spec:
    """What to run: a program by URL and SHA-256 (64 lower-case digits), with its arguments and environment, and how
    long it may run (None for as long as it likes).
    """

    binary_url: str
    binary_sha256: str
    arguments: Sequence[str] = ()
    env_variables: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float | None = None


@dataclass(frozen=True)
class NewJob:
    """A job as a client submits it."""

    type: str
    priority: Priority
    spec: Spec


@dataclass(frozen=True)
class Attempt:
    """One executor's try at a job. Times are milliseconds since 1970. `reason` is why it ended, None while it runs and
    where nobody said.
    """

    executor_id: str
    executor_ip: str | None
    started_at_ms: int
    ended_at_ms: int | None
    status: AttemptStatus
    reason: Reason | None = None


@dataclass(frozen=True)
class Measured:
    """How a run went, as its executor saw it; None where it did not say.

    `signal` is the name of the one that ended the program. The bytes are those that it wrote, all of them; truncated
    means that not all were kept. Times are milliseconds since 1970 by the executor's own clock.
    """

    signal: str | None = None
    stdout_bytes: int | None = None
    stderr_bytes: int | None = None
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    user_cpu_seconds: float | None = None
    system_cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None
    download_started_at_ms: int | None = None
    program_started_at_ms: int | None = None
    program_ended_at_ms: int | None = None

    def length_of_truncated(self, stream: Stream) -> int | None:
        """Return how many bytes the program wrote to a stream that was not kept whole; None for any other stream."""
        if stream is Stream.STDOUT:
            return self.stdout_bytes if self.stdout_truncated else None
        return self.stderr_bytes if self.stderr_truncated else None


@dataclass(frozen=True)
class JobSummary:
    """What a list tells of a job. Times are milliseconds since 1970, `None` until they come."""

    id: str
    type: str
    priority: Priority
    status: Status
    executor_id: str | None
    created_at_ms: int
    started_at_ms: int | None


@dataclass(frozen=True)
class Job(JobSummary):
    """All there is to know of a job, except the token of its running attempt: that is its executor's alone.

    `cancel_requested` is whether somebody asked it to stop while it ran; it may have ended otherwise all the same.
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

"""What an executor reports about a job that it runs: the output so far, and in the end the result."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from jobqueue.job import Measured, Reason
from jobqueue.output import cut, shorten


@dataclass(frozen=True)
class Holder:
    """The executor that reports about a running job. Without a token of the attempt it is identified by its id alone.

    `owner` is the name of the API token that it uses, "" on an open API.
    """

    executor_id: str
    attempt_token: str = ""
    owner: str = ""


@dataclass(frozen=True)
class Piece:
    """What a program wrote to one stream after its first `offset` bytes."""

    offset: int
    data: str


@dataclass(frozen=True)
class LiveOutput:
    """The latest output of a running program, by stream; None where nothing is reported."""

    stdout: Piece | None = None
    stderr: Piece | None = None


@dataclass(frozen=True)
class Result:
    """How a run ended. `exit_code` is None when the program never ran. Outputs may be longer than what is stored."""

    exit_code: int | None
    stdout: str = ""
    stderr: str = ""
    error_message: str = ""
    reason: Reason | None = None
    measured: Measured = field(default_factory=Measured)

    def cut(self) -> Result:
        """Return what is stored of this result: each text cut to its limit.

        Where the executor does not say how many bytes the program wrote, the bytes that it sent are counted. A stream
        is marked as truncated if the executor says so or if it is cut here.
        """
        stdout, stderr, message = cut(self.stdout), cut(self.stderr), cut(self.error_message)
        measured = _with(
            self.measured,
            stdout_bytes=_bytes(self.stdout) if self.measured.stdout_bytes is None else self.measured.stdout_bytes,
            stderr_bytes=_bytes(self.stderr) if self.measured.stderr_bytes is None else self.measured.stderr_bytes,
            stdout_truncated=self.measured.stdout_truncated or len(stdout) < len(self.stdout),
            stderr_truncated=self.measured.stderr_truncated or len(stderr) < len(self.stderr),
        )
        return _with(self, stdout=stdout, stderr=stderr, error_message=message, measured=measured)

    def shortened(self, output_bytes: int, message_bytes: int) -> Result:
        """Return what is stored of this result, which is cut already, when the store is full: texts of at most so many
        bytes, each stream marked as truncated if it became shorter.
        """
        stdout, stderr = shorten(self.stdout, output_bytes), shorten(self.stderr, output_bytes)
        measured = _with(
            self.measured,
            stdout_truncated=self.measured.stdout_truncated or stdout != self.stdout,
            stderr_truncated=self.measured.stderr_truncated or stderr != self.stderr,
        )
        message = shorten(self.error_message, message_bytes)
        return _with(self, stdout=stdout, stderr=stderr, error_message=message, measured=measured)


Record = TypeVar("Record", Measured, Result)


def _with(record: Record, **values: Any) -> Record:
    """Return a record with these values; the same one if it has them, as nearly all have: `replace` takes longer."""
    if all(getattr(record, name) == value for name, value in values.items()):
        return record
    return replace(record, **values)


def _bytes(text: str) -> int:
    return len(text.encode())

"""What an executor says about a job it runs: what its program has written so far, and how the run went."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from jobqueue.job import Measured, Reason
from jobqueue.output import cut


@dataclass(frozen=True)
class Holder:
    """Who says something about a running job. Without a token its id alone must do."""

    executor_id: str
    attempt_token: str = ""


@dataclass(frozen=True)
class Piece:
    """What a program wrote to one stream after its first `offset` bytes."""

    offset: int
    data: str


@dataclass(frozen=True)
class LiveOutput:
    """What a program wrote lately, None where it is not told."""

    stdout: Piece | None = None
    stderr: Piece | None = None

    def arguments(self) -> list[str]:
        """Return it as scripts take it: for each stream its offset, or "", and its data."""
        return [
            text
            for piece in (self.stdout, self.stderr)
            for text in (("", "") if piece is None else (str(piece.offset), piece.data))
        ]


@dataclass(frozen=True)
class Result:
    """How a run ended. `exit_code` is None when the program never ran; outputs may be longer than what is kept."""

    exit_code: int | None
    stdout: str = ""
    stderr: str = ""
    error_message: str = ""
    reason: Reason | None = None
    measured: Measured = field(default_factory=Measured)

    def cut(self) -> Result:
        """Return what is kept of it: each text cut to its limit, with the bytes counted that came, unless the executor
        has counted those that the program wrote.
        """
        stdout, stderr, measured = cut(self.stdout), cut(self.stderr), self.measured
        return replace(
            self,
            stdout=stdout,
            stderr=stderr,
            error_message=cut(self.error_message),
            measured=replace(
                measured,
                stdout_bytes=_bytes(self.stdout) if measured.stdout_bytes is None else measured.stdout_bytes,
                stderr_bytes=_bytes(self.stderr) if measured.stderr_bytes is None else measured.stderr_bytes,
                stdout_truncated=measured.stdout_truncated or len(stdout) < len(self.stdout),
                stderr_truncated=measured.stderr_truncated or len(stderr) < len(self.stderr),
            ),
        )


def _bytes(text: str) -> int:
    return len(text.encode())

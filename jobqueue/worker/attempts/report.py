"""What is told to the API of how an attempt ended."""

from __future__ import annotations

import io
import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import IO, Any

from jobqueue import json_stream
from jobqueue.job import Reason
from jobqueue.worker.supervisor.messages import Outcome
from jobqueue.worker.supervisor.output_file import Outputs


@dataclass(frozen=True)
class Report:
    """A verb (`complete`, `fail`, `release`) and the fields that the API documents for it, the outputs apart."""

    verb: str
    fields: Mapping[str, Any]
    outputs: Outputs | None = field(default=None, compare=False)

    def body(self, holder: Mapping[str, object]) -> IO[bytes]:
        """Return the request's body, in a file in memory. The outputs become part of it and are gone from here."""
        file = open(self.outputs.detach(), "r+b") if self.outputs else io.BytesIO()  # noqa: SIM115  # the caller's
        json_stream.extend(file, {**holder, **self.fields})
        file.flush()
        return file


def released(reason: Reason | None) -> Report:
    """Return the report of an attempt that is given back: what ended it was no fault of the job's."""
    return Report("release", {"reason": reason})


def failed(reason: Reason, message: str, **more: Any) -> Report:
    """Return the report of an attempt whose program never ran."""
    return Report("fail", {"reason": reason, "exit_code": None, "error_message": message, **more})


def ended(outcome: Outcome, timeout_seconds: float | None, cancelled: bool, **times: int | None) -> Report:
    """Return the report of a program that ran: exit code 0 is a success, all else a failure. `times` go along."""
    reason, message = _why(outcome, timeout_seconds, cancelled)
    fields: dict[str, Any] = {
        "reason": reason,
        "exit_code": outcome.exit_code,
        **asdict(outcome.measured),
        **times,
    }
    if message is None:
        return Report("complete", fields, outcome.outputs)
    return Report("fail", {**fields, "error_message": message}, outcome.outputs)


def _why(outcome: Outcome, timeout_seconds: float | None, cancelled: bool) -> tuple[Reason, str | None]:
    """Return why a program ended, and what is wrong with that (None: nothing)."""
    if cancelled:
        return Reason.CANCELLED, "cancelled while it ran"
    if outcome.timed_out:
        return Reason.TIMEOUT, f"ran for longer than {timeout_seconds:g} seconds"
    if outcome.oom_killed:
        return Reason.OOM_KILLED, "killed when the machine ran out of memory"
    if outcome.measured.signal is not None and outcome.exit_code is not None:
        return Reason.SIGNALLED, f"killed by signal {outcome.exit_code - 128} ({outcome.measured.signal})"
    return Reason.EXITED, f"exited with code {outcome.exit_code}" if outcome.exit_code else None


def like_sigterm(outcome: Outcome) -> bool:
    """Whether a program ended as one does that was sent SIGTERM: by it, or with the code that shells make of it."""
    return outcome.exit_code == 128 + signal.SIGTERM

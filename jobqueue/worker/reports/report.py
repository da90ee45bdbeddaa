"""What an attempt reports to the API when it has ended."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from jobqueue import json_stream
from jobqueue.job import Reason
from jobqueue.worker.supervisor.messages import Outcome
from jobqueue.worker.supervisor.output_file import Outputs

ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
SMALL_BYTES = 32 * 1024
"""Up to which size the outputs are read into memory, so that the report can be sent with others."""


@dataclass(frozen=True)
class Report:
    """A verb (`complete`, `fail`, `release`) and the fields that the API documents for it, without the outputs."""

    verb: str
    fields: Mapping[str, Any]
    outputs: Outputs | None = field(default=None, compare=False)

    @property
    def has_exit_code(self) -> bool:
        """Whether it says how a program ended that has run."""
        return self.fields.get("exit_code") is not None

    def line(self, job_id: str, holder: Mapping[str, object]) -> bytes | None:
        """Return the report as a line of a journal, None when its outputs are too large for that.

        The outputs can be taken only once.
        """
        outputs = _small(self.outputs)
        if outputs is None:
            return None
        members = {"id": job_id, "outcome": self.verb, **holder, **self.fields}
        line = ENCODER.encode(members).encode()
        return line[:-1] + b"," + outputs[1:] if outputs else line

    def body(self, holder: Mapping[str, object]) -> IO[bytes]:
        """Return the body of the request in a file in memory, which the caller closes.

        The fields are added to the file that the supervisor wrote the outputs into, so that megabytes are not copied.
        The outputs belong to the body from then on and can be taken only once.
        """
        file = self.outputs.take() if self.outputs else io.BytesIO()
        json_stream.extend(file, {**holder, **self.fields})
        file.flush()
        return file


def _small(outputs: Outputs | None) -> bytes | None:
    """Return the JSON object with small outputs, which are closed then; None when they are large."""
    if outputs is None:
        return b""
    if outputs.short:
        return outputs.short.encode()
    if os.fstat(outputs.fd).st_size > SMALL_BYTES:
        return None
    content = os.pread(outputs.fd, SMALL_BYTES, 0)
    outputs.close()
    return content


def released(reason: Reason | None, message: str | None = None) -> Report:
    """Return the report that releases a job: its attempt ended through no fault of the job. `message` says more."""
    more = {} if message is None else {"error_message": message}
    return Report("release", {"reason": reason, **more})


def failed(reason: Reason, message: str, **measured: int) -> Report:
    """Return the report of a failed attempt whose program never ran. `measured` are times in ms since 1970."""
    return Report("fail", {"reason": reason, "exit_code": None, "error_message": message, **measured})


def ended(outcome: Outcome, timeout_seconds: float | None, cancelled: bool, **measured: int) -> Report:
    """Return the report of a program that ran.

    It is a success when the program exited with code 0 and was neither cancelled nor stopped by its time limit, and a
    failure otherwise.

    `measured` is what the supervisor cannot know, and replaces what it has measured.
    """
    reason, message = _why(outcome, timeout_seconds, cancelled)
    fields = {"reason": reason, "exit_code": outcome.exit_code, **vars(outcome.measured), **measured}
    if message is None:
        return Report("complete", fields, outcome.outputs)
    return Report("fail", {**fields, "error_message": message}, outcome.outputs)


def _why(outcome: Outcome, timeout_seconds: float | None, cancelled: bool) -> tuple[Reason, str | None]:
    """Return why a program ended, and the error message; None when nothing is wrong.

    The order matters. The worker kills a program that is cancelled or reaches its time limit, and the kernel kills one
    when memory runs out. All three end by a signal, so the signal is the reason only when none of them applies.
    """
    if cancelled:
        return Reason.CANCELLED, "cancelled while it ran"
    if outcome.timed_out:
        return Reason.TIMEOUT, f"ran for longer than {timeout_seconds:g} second{'' if timeout_seconds == 1 else 's'}"
    if outcome.oom_killed:
        return Reason.OOM_KILLED, "killed when the machine ran out of memory"
    if outcome.measured.signal is not None and outcome.exit_code is not None:
        return Reason.SIGNALLED, f"killed by signal {outcome.exit_code - 128} ({outcome.measured.signal})"
    return Reason.EXITED, f"exited with code {outcome.exit_code}" if outcome.exit_code else None

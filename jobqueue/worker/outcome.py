"""How a launch ended, as the supervisor saw it and as it tells the worker."""

from __future__ import annotations

import errno
import signal
from dataclasses import dataclass, field

from jobqueue.worker import elf, shebang
from jobqueue.worker.outputs import Outputs
from jobqueue.worker.process import Launch, Usage

OF_THE_MACHINE = frozenset(
    {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ETXTBSY}
)
"""Errors that say more about the machine than about the program: on another one it may well start."""


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


def not_started(error: Exception, launch: Launch) -> Outcome:
    """Return the outcome of a launch that failed with this error."""
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ENOENT and isinstance(error, OSError) and error.filename == launch.directory:
        return Outcome(not_started="could not be started: its directory is gone", faulty_machine=True)
    if isinstance(error, OSError):
        reason = _looked_into(launch.program, number) or error.strerror
        return Outcome(not_started=f"could not be started: {reason}", faulty_machine=number in OF_THE_MACHINE)
    return Outcome(not_started=f"could not be started: {error}", faulty_machine=not isinstance(error, ValueError))


def _looked_into(program: str, number: int | None) -> str | None:
    """Return what the file says of why it could not be started, where the error's number does not say it."""
    if number not in (errno.ENOENT, errno.ENOEXEC):
        return None
    try:
        with open(program, "rb") as file:
            interpreter = shebang.interpreter(file)
            file.seek(0)
            magic = file.read(len(elf.MAGIC))
    except OSError:
        return None
    if interpreter is not None:
        return f"its interpreter {interpreter!r} does not exist" if number == errno.ENOENT else None
    if magic == elf.MAGIC:
        return (
            "the loader that it names does not exist"
            if number == errno.ENOENT
            else "it is damaged, or for another kind of machine"
        )
    return "it is neither an ELF file nor a script whose first line is #! and an interpreter"


def signal_name(number: int) -> str:
    """Return a signal's name: `SIGKILL`, `SIGRTMIN+3` (or, of those that libraries use, `SIGRTMIN-2`)."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN{number - signal.SIGRTMIN:+d}"

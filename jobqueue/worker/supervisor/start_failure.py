"""Why a program could not be started, in words for the job's error message."""

from __future__ import annotations

import errno

from jobqueue.worker.isolation import executable
from jobqueue.worker.supervisor.messages import Launch, Outcome

OF_THE_MACHINE = frozenset(
    {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ETXTBSY}
)
"""Errors that say more about the machine than about the program: on another one it may well start."""


def start_failed(error: Exception, launch: Launch) -> Outcome:
    """Return the outcome of a launch that failed with this error."""
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ENOENT and isinstance(error, OSError) and error.filename == launch.directory:
        return Outcome(start_failure="could not be started: its directory is gone", host_fault=True)
    if isinstance(error, OSError):
        reason = _looked_into(launch.program, number) or error.strerror
        return Outcome(start_failure=f"could not be started: {reason}", host_fault=number in OF_THE_MACHINE)
    return Outcome(start_failure=f"could not be started: {error}", host_fault=not isinstance(error, ValueError))


def _looked_into(program: str, number: int | None) -> str | None:
    """Return what the file says of why it could not be started, where the error's number does not say it."""
    if number not in (errno.ENOENT, errno.ENOEXEC):
        return None
    try:
        with open(program, "rb") as file:
            interpreter = executable.interpreter(file)
            is_elf = executable.is_elf(file)
    except OSError:
        return None
    if interpreter is not None:
        return f"its interpreter {interpreter!r} does not exist" if number == errno.ENOENT else None
    if is_elf:
        return (
            "the loader that it names does not exist"
            if number == errno.ENOENT
            else "it is damaged, or for another kind of machine"
        )
    return "it is neither an ELF file nor a script whose first line is #! and an interpreter"

"""Says why a program could not be started: the text for the job's error message, and whether the host is at fault."""

from __future__ import annotations

import errno

from jobqueue.worker.host.error_numbers import HOST_FAULTS
from jobqueue.worker.isolation import executable
from jobqueue.worker.supervisor.messages import Launch, Outcome


def start_failed(error: Exception, launch: Launch) -> Outcome:
    """Return the outcome of a launch whose start failed with this error."""
    if isinstance(error, FileNotFoundError) and error.filename == launch.directory:
        return Outcome(start_failure="could not be started: its directory is gone", host_fault=True)
    if isinstance(error, OSError):
        reason = _reason_in_file(launch.program, error.errno) or error.strerror
        return Outcome(start_failure=f"could not be started: {reason}", host_fault=error.errno in HOST_FAULTS)
    return Outcome(start_failure=f"could not be started: {error}", host_fault=not isinstance(error, ValueError))


def _reason_in_file(program: str, number: int | None) -> str | None:
    """Return the reason that the program's first bytes show, where the error alone says too little; else None."""
    if number not in (errno.ENOENT, errno.ENOEXEC):
        return None
    try:
        with open(program, "rb") as file:
            interpreter = executable.interpreter(file)
            is_elf = executable.is_elf(file)
    except OSError:
        return None
    lacks = number == errno.ENOENT
    if interpreter is not None:
        return f"its interpreter {interpreter!r} does not exist" if lacks else None
    if is_elf:
        return "the loader that it names does not exist" if lacks else "it is damaged, or for another kind of machine"
    return "it is neither an ELF file nor a script whose first line is #! and an interpreter"

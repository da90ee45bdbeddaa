"""Says why a program could not be started: the text for the job's error message, and the cause, which decides whether
another host may run it.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from contextlib import suppress

from jobqueue.redaction import printable
from jobqueue.worker.failures import Failure
from jobqueue.worker.host.error_numbers import HOST_FAULTS
from jobqueue.worker.isolation import executable
from jobqueue.worker.supervisor.messages import Launch, Outcome

NOT_FOUND = 127
NOT_EXECUTABLE = 126
CODES = (1, 2, NOT_EXECUTABLE, NOT_FOUND)
MAX_STDERR_BYTES = 4096
LONGEST_SHOWN = 500

LOADER = re.compile(r"error while loading shared libraries: .+|CPU ISA level is lower than required")
"""What glibc's loader says, after the name of the program, when it exits with code 127 instead of starting it."""

OLD_LIBRARY = re.compile(r".+: version .+ not found \(required by .+\)")
"""The same with code 1: a library on this host is older than the program needs."""

MUSL_LOADER = re.compile(r"Error loading shared library .+|Error relocating .+")
KERNEL_TOO_OLD = "FATAL: kernel too old"
BWRAP_CODE = 1
SHELL = re.compile(r": ([0-9]+: .*|.*cannot execute binary file.*)")
"""What a shell says, after the name of a script, about a line of it that makes no sense, or about the whole."""

BWRAP = "bwrap: "
BWRAP_EXEC = "bwrap: execvp "


def start_failed(error: Exception, launch: Launch) -> Outcome:
    """Return the outcome of a launch whose start failed with this error."""
    return _not_started(*_why(error, launch))


def never_began(outcome: Outcome, launch: Launch, level: str) -> Outcome | None:
    """Return the outcome of a launch whose program was executed, but was ended by what should have started it: the
    loader of its shared libraries, `env`, or the bwrap of this level of isolation. None when the program ran.
    """
    # Only their exit codes and messages tell. A program may imitate both, or start another program that fails like
    # this. So the rule is narrow: one of a few exit codes, nothing on standard output, and on standard error nothing
    # but messages that begin with the name under which the kernel started this very program or its interpreter. glibc's
    # "symbol lookup error" is not among them, because it may come in the middle of a run. If a job deceives us all the
    # same, its program runs on three hosts before it has failed, which a job must be prepared for anyway.
    measured = outcome.measured
    if outcome.stopped or outcome.timed_out or outcome.exit_code not in CODES:
        return None
    if measured.stdout_bytes or not 0 < (measured.stderr_bytes or 0) <= MAX_STDERR_BYTES:
        return None
    lines = outcome.stderr.splitlines() or [""]
    if level == "bwrap":
        if outcome.exit_code == BWRAP_CODE and lines[-1].startswith(BWRAP):
            return _bwrap_failed(lines[-1], launch)
        if _read_by_shell(lines, launch.program):
            return _refused(errno.ENOEXEC, launch)
    interpreter, words = _interpreter(launch.program)
    if _all_from_loader(lines, outcome.exit_code, [interpreter or launch.program, *words]) or (
        outcome.exit_code in (NOT_EXECUTABLE, NOT_FOUND) and _all_from_env(lines, interpreter, words)
    ):
        return _not_started(Failure.MISSING, _shown(lines[0], launch))
    return None


def _not_started(failure: Failure, reason: str) -> Outcome:
    return Outcome(start_failure=f"could not be started: {reason}", failure=failure)


def _refused(number: int, launch: Launch) -> Outcome:
    """Return the outcome of a launch whose program the kernel refused to execute with this error."""
    return start_failed(OSError(number, os.strerror(number), launch.program), launch)


def _why(error: Exception, launch: Launch) -> tuple[Failure, str]:
    if isinstance(error, ValueError):
        return Failure.ARGUMENTS, str(error)
    return _why_of_system(error, launch) if isinstance(error, OSError) else (Failure.HOST, str(error))


def _why_of_system(error: OSError, launch: Launch) -> tuple[Failure, str]:
    reason = error.strerror or type(error).__name__
    # Another file is the sandbox, or the directory. Too many arguments are too many for whatever is started.
    if error.filename not in (None, launch.program) and error.errno != errno.E2BIG:
        gone = error.errno == errno.ENOENT and error.filename == launch.directory
        return Failure.HOST, "its directory is gone" if gone else reason
    if error.errno == errno.ENOENT:
        return _missing(launch.program, reason)
    if error.errno == errno.ENOEXEC:
        return _not_executable(launch.program, reason)
    if error.errno == errno.EIO and _is_cut_short(launch.program):
        return Failure.DAMAGED, "it is damaged"
    return Failure.HOST if error.errno in HOST_FAULTS else Failure.NOT_PERMITTED, reason


def _missing(program: str, reason: str) -> tuple[Failure, str]:
    """Return why the kernel says that a program does not exist."""
    interpreter, _ = _interpreter(program)
    if interpreter:
        return Failure.MISSING, f"its interpreter {interpreter!r} does not exist"
    if os.path.exists(program):
        return Failure.MISSING, "the loader that it names does not exist"
    return Failure.HOST, reason  # somebody has removed the file


def _not_executable(program: str, reason: str) -> tuple[Failure, str]:
    """Return why the kernel refuses the format of a program."""
    try:
        with open(program, "rb") as file:
            interpreter = executable.interpreter(file)
            is_elf, machine = executable.is_elf(file), executable.machine(file)
    except OSError:
        return Failure.HOST, reason
    if interpreter:
        return Failure.MISSING, f"its interpreter {interpreter!r} is not a program that this host can execute"
    if not is_elf:
        return Failure.NOT_A_PROGRAM, "it is neither an ELF file nor a script whose first line is #! and an interpreter"
    if machine in (None, executable.own_machine()):
        return Failure.DAMAGED, "it is damaged"
    kind = executable.MACHINES.get(machine[2], f"number {machine[2]}") if machine else ""
    return Failure.OTHER_MACHINE, f"it is for another kind of machine ({kind})"


def _is_cut_short(program: str) -> bool:
    """Whether an ELF file ends before what its header announces; the kernel then reports an error of the disk."""
    with suppress(OSError), open(program, "rb") as file:
        return executable.is_elf(file) and executable.is_cut_short(file)
    return False


def _interpreter(program: str) -> tuple[str | None, Sequence[str]]:
    """Return the interpreter of a script, and what its `env` may start; (None, []) for any other file."""
    try:
        with open(program, "rb") as file:
            interpreter = executable.interpreter(file)
            file.seek(0)
            words = os.fsdecode(file.readline(executable.FIRST_LINE_BYTES)).split()
    except OSError:
        return None, []
    is_env = interpreter is not None and os.path.basename(interpreter) == "env"
    return interpreter, [word.removeprefix("-S") for word in words[1:]] if is_env else []


def _all_from_loader(lines: Sequence[str], exit_code: int | None, names: Sequence[str]) -> bool:
    if exit_code == NOT_FOUND and all(MUSL_LOADER.fullmatch(line) or line == KERNEL_TOO_OLD for line in lines):
        return True
    pattern = {NOT_FOUND: LOADER, 1: OLD_LIBRARY}.get(exit_code or 0)
    messages = [line.removeprefix(f"{name}: ") for line in lines for name in names if line.startswith(f"{name}: ")]
    return pattern is not None and len(messages) == len(lines) and all(map(pattern.fullmatch, messages))


def _all_from_env(lines: Sequence[str], interpreter: str | None, words: Sequence[str]) -> bool:
    # GNU's env names itself as it was started, busybox and others by their short name. The text may be translated, but
    # names what could not be started.
    own = all(line.startswith((f"{interpreter}: ", "env: ")) for line in lines)
    return own and any(word and word in lines[0] for word in words)


def _read_by_shell(lines: Sequence[str], program: str) -> bool:
    """Whether a shell has read an ELF file: bwrap hands it every file whose format the kernel refuses."""
    if not lines[0].startswith(program) or not SHELL.fullmatch(lines[0].removeprefix(program)):
        return False
    with suppress(OSError), open(program, "rb") as file:
        other = executable.machine(file) != executable.own_machine()
        return executable.is_elf(file) and (other or executable.is_cut_short(file))
    return False


def _bwrap_failed(line: str, launch: Launch) -> Outcome:
    for number in (errno.ENOENT, errno.ENOEXEC, errno.EACCES, errno.EIO):
        if line.startswith(BWRAP_EXEC) and line.endswith(os.strerror(number)):
            return _refused(number, launch)
    return _not_started(Failure.HOST, _shown(line, launch))


def _shown(line: str, launch: Launch) -> str:
    """Return a message as it may be shown: printable, not too long, without the directories of the worker."""
    for directory in (os.path.dirname(launch.program), launch.directory):
        line = line.replace(f"{directory}/", "")
    return printable(line)[:LONGEST_SHOWN]

"""What the first bytes of a program's file say about how the kernel would start it."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from typing import BinaryIO

FIRST_LINE_BYTES = 256
"""As much of a script's first line as the kernel reads."""


def is_elf(file: BinaryIO) -> bool:
    """Whether an open file begins as an ELF file does, so that the kernel, not an interpreter, would load it."""
    file.seek(0)
    return file.read(4) == b"\x7fELF"


def interpreter(file: BinaryIO) -> str | None:
    """Return the path that the first line of a script names, "" when it names none; None for what is not a script."""
    file.seek(0)
    first_line = file.read(FIRST_LINE_BYTES).split(b"\n", 1)[0]
    if not first_line.startswith(b"#!"):
        return None
    return os.fsdecode(first_line[2:].replace(b"\t", b" ").strip(b" ").split(b" ", 1)[0])


def require_startable(program: str) -> None:
    """Raise the OSError that executing a program would raise, if its first bytes show that it would."""
    # bwrap executes the program for us. When it cannot, it exits with code 1, which looks like the program's own exit
    # code; and it hands a file that is neither ELF nor a script to a shell. These checks find the usual mistakes. An
    # ELF file is not examined further: which machines and loaders the kernel accepts (32-bit programs, QEMU through
    # binfmt_misc) cannot be told reliably from its headers, and refusing a program that would run is worse than
    # reporting bwrap's own message.
    with open(program, "rb") as file:
        _refuse_busy(file.fileno(), program)
        starter = None if is_elf(file) else interpreter(file) or ""
    if starter is not None and (number := _error_of(starter)):
        raise OSError(number, os.strerror(number), program)


def _error_of(starter: str) -> int:
    """Return the error of starting a program with this interpreter ("": it names none); 0 if there is none."""
    if not starter:
        return errno.ENOEXEC
    if not os.path.exists(starter):
        return errno.ENOENT
    return 0 if os.path.isfile(starter) and os.access(starter, os.X_OK) else errno.EACCES


def _refuse_busy(descriptor: int, program: str) -> None:
    """Raise OSError when a process has the file open for writing."""
    # There is no system call that asks this, but the kernel refuses a read lease on such a file. The lease is given
    # back at once. On a file system without leases nothing is known, and bwrap's own failure has to do.
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        raise OSError(errno.ETXTBSY, os.strerror(errno.ETXTBSY), program) from None
    except OSError:
        return
    with suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)

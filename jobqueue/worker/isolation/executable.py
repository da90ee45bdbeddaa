"""What the first bytes of a program's file say about how the kernel would start it."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import BinaryIO, Literal

MACHINES = {3: "x86", 8: "MIPS", 21: "PowerPC", 22: "S/390", 40: "ARM", 62: "x86-64", 183: "AArch64", 243: "RISC-V"}
"""What the numbers of machines in ELF files stand for."""

HEADER_BYTES = 64
SHORTEST_HEADER_BYTES = 20
ELF_CLASSES = (1, 2)
"""32 and 64 bits."""

ELF_BYTE_ORDERS: Mapping[int, Literal["little", "big"]] = {1: "little", 2: "big"}
ELF_FIELDS = {
    1: ((28, 4), (42, 2), (44, 2), (4, 4), (16, 4)),
    2: ((32, 8), (54, 2), (56, 2), (8, 8), (32, 8)),
}
ELF_PROGRAMS = (2, 3)
"""The types of ELF files that can be executed; the others are object files and core dumps."""

FIRST_LINE_BYTES = 256
"""As much of a script's first line as the kernel reads."""


def is_elf(file: BinaryIO) -> bool:
    """Whether an open file begins as an ELF file does, so that the kernel, not an interpreter, would load it."""
    file.seek(0)
    return file.read(4) == b"\x7fELF"


def machine(file: BinaryIO) -> tuple[int, int, int] | None:
    """Return what kind of machine an ELF file is for: class, byte order and number. None when no machine executes it:
    its header is cut short or says nonsense, or it is no program.
    """
    file.seek(0)
    header = file.read(HEADER_BYTES)
    if len(header) < SHORTEST_HEADER_BYTES or header[4] not in ELF_CLASSES or header[5] not in ELF_BYTE_ORDERS:
        return None
    order = ELF_BYTE_ORDERS[header[5]]
    file_type, number = int.from_bytes(header[16:18], order), int.from_bytes(header[18:20], order)
    return (header[4], header[5], number) if file_type in ELF_PROGRAMS and number else None


def is_cut_short(file: BinaryIO) -> bool:
    """Whether an ELF file is shorter than its segments: a download that broke off, say."""
    if (kind := machine(file)) is None:
        return True
    order = ELF_BYTE_ORDERS[kind[1]]
    # Where a number begins, and how many bytes it has: in the header, the place of the table of segments and the size
    # of its entries and their count; in an entry, the place of the segment and its size.
    table, size, count, place, length = ELF_FIELDS[kind[0]]

    def number(data: bytes, field: tuple[int, int]) -> int:
        return int.from_bytes(data[field[0] : sum(field)], order)

    file.seek(0)
    header = file.read(HEADER_BYTES)
    file_size = os.fstat(file.fileno()).st_size
    for index in range(number(header, count)):
        file.seek(number(header, table) + index * number(header, size))
        entry = file.read(number(header, size))
        if not entry or number(entry, place) + number(entry, length) > file_size:
            return True
    return False


def own_machine() -> tuple[int, int, int] | None:
    """Return the kind of machine that the running Python is for; None when that cannot be found out."""
    try:
        with open("/proc/self/exe", "rb") as file:
            return machine(file)
    except OSError:
        return None


def interpreter(file: BinaryIO) -> str | None:
    """Return the path that the first line of a script names, "" when it names none; None for what is not a script."""
    file.seek(0)
    first_line = file.read(FIRST_LINE_BYTES).split(b"\n", 1)[0]
    if not first_line.startswith(b"#!"):
        return None
    return os.fsdecode(first_line[2:].replace(b"\t", b" ").strip(b" ").split(b" ", 1)[0])


@contextmanager
def opened(program: str, number: Sequence[int] | None) -> Iterator[int | None]:
    """Yield a descriptor of a program's file by which to execute it; None when that has to be done by its path.

    `number` are the device and the number of the file that was verified; None when any file will do. Raises OSError
    when another one is at the path.
    """
    if number is None:
        yield None
        return
    with open(os.open(program, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        info = os.fstat(file.fileno())
        if [info.st_dev, info.st_ino] != [*number]:
            raise OSError(errno.ESTALE, "its file was replaced before it was started", program)
        # The interpreter of a script opens it by its path, which $0 has to be.
        yield file.fileno() if is_elf(file) else None


def require_startable(program: str) -> None:
    """Raise the OSError that executing a program would raise, if its first bytes show that it would."""
    # bwrap executes the program for us, and hands a file that is neither ELF nor a script to a shell. These checks find
    # the usual mistakes. An ELF file is not examined further: which machines and loaders the kernel accepts (32-bit
    # programs, QEMU through binfmt_misc) cannot be told reliably from its headers. When the kernel refuses it,
    # `supervisor.start_failure` reads that from bwrap's message.
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

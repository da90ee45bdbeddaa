"""Whether the kernel would start an ELF file, as far as its headers tell. All numbers are those of <elf.h>.

The kernel, too, goes by the machine alone: it reads a header as that machine's whatever the file says of itself.
"""

from __future__ import annotations

import functools
import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

MAGIC = b"\x7fELF"
HEADER_BYTES = 64
EXECUTABLES = (2, 3)
"""ET_EXEC, and ET_DYN: what can be loaded anywhere."""

LOADER = 3
"""PT_INTERP: the segment that names what loads the program."""

WIDE = 2
"""ELFCLASS64."""

ALSO = {62: {3}, 183: {40}}
"""What else processors run, in 32 bits: x86-64 also i386, AArch64 also ARM."""


@dataclass(frozen=True)
class _Layout:
    """Where the numbers stand: e_phoff and e_phentsize with e_phnum in the header; p_offset and p_filesz in a segment's
    header, which begins with p_type.
    """

    offset: tuple[str, int]
    table: tuple[str, int]
    entry_bytes: int
    segment: tuple[str, int, int]


_NARROW = _Layout(("I", 28), ("HH", 42), 32, ("I", 4, 16))
_WIDE = _Layout(("Q", 32), ("HH", 54), 56, ("Q", 8, 32))


def can_start(file: BinaryIO) -> bool:
    """Whether an open file is an ELF program for this machine, whole as far as its headers."""
    header = _header(file)
    if not header.startswith(MAGIC):
        return False
    kind, machine = struct.unpack_from("HH", header, 16)
    if kind not in EXECUTABLES:
        return False
    if machine not in _machines_here():
        return _are_interpreted()
    layout = _machines_here()[machine]
    offset, entry_bytes, count = _table(header, layout)
    return entry_bytes == layout.entry_bytes and count > 0 and offset + entry_bytes * count <= _size(file)


def loader(file: BinaryIO) -> str | None:
    """Return the path of what loads a program that `can_start`; None when that is the kernel alone."""
    header = _header(file)
    layout = _machines_here().get(struct.unpack_from("H", header, 18)[0])
    if layout is None:
        return None
    offset, entry_bytes, count = _table(header, layout)
    file.seek(offset)
    segments = file.read(entry_bytes * count)
    number, place, length = layout.segment
    for begin in range(0, len(segments) - entry_bytes + 1, entry_bytes):
        if struct.unpack_from("I", segments, begin)[0] == LOADER:
            file.seek(struct.unpack_from(number, segments, begin + place)[0])
            path = file.read(
                min(struct.unpack_from(number, segments, begin + length)[0], os.pathconf("/", "PC_PATH_MAX"))
            )
            return os.fsdecode(path.rstrip(b"\0"))
    return None


def _header(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(HEADER_BYTES).ljust(HEADER_BYTES, b"\0")


def _table(header: bytes, layout: _Layout) -> tuple[int, int, int]:
    """Return where the segments' headers are, how long each is, and how many."""
    (offset,) = struct.unpack_from(layout.offset[0], header, layout.offset[1])
    return offset, *struct.unpack_from(layout.table[0], header, layout.table[1])


def _size(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


def _are_interpreted() -> bool:
    """Whether something such as QEMU may run what is for other machines (binfmt_misc)."""
    with suppress(OSError):
        return not {"register", "status"}.issuperset(os.listdir("/proc/sys/fs/binfmt_misc"))
    return False


@functools.cache
def _machines_here() -> dict[int, _Layout]:
    with open("/proc/self/exe", "rb") as file:
        header = _header(file)
    (own,) = struct.unpack_from("H", header, 18)
    return {own: _WIDE if header[4] == WIDE else _NARROW} | dict.fromkeys(ALSO.get(own, ()), _NARROW)

"""Whether the kernel would start an ELF file, as far as its header tells. All numbers are those of <elf.h>."""

from __future__ import annotations

import functools
import os
import struct
from contextlib import suppress
from typing import BinaryIO

MAGIC = b"\x7fELF"
LONGEST_HEADER = 64
EXECUTABLES = (2, 3)
"""ET_EXEC, and ET_DYN: what can be loaded anywhere."""

NARROW, WIDE = 1, 2
"""32 and 64 bits: ELFCLASS32 and ELFCLASS64."""

ORDERS = {1: "<", 2: ">"}
FIELDS = {NARROW: "HHIIIIIHHH", WIDE: "HHIQQQIHHH"}
ENTRY_BYTES = {NARROW: 32, WIDE: 56}
"""What a program header takes."""

ALSO = {62: {3}, 183: {40}}
"""What else processors run: x86-64 also i386, AArch64 also ARM."""


def can_start(file: BinaryIO) -> bool:
    """Whether an open file is an ELF program for this machine, whole as far as its headers."""
    file.seek(0)
    header = file.read(LONGEST_HEADER)
    machine = _machine(header)
    return (
        machine is not None and _has_its_headers(file, header) and (machine in _machines_here() or _are_interpreted())
    )


def _machine(header: bytes) -> int | None:
    """Return what an ELF program is for; None for what is none."""
    fields = _fields(header)
    return fields[1] if fields and fields[0] in EXECUTABLES else None


def _has_its_headers(file: BinaryIO, header: bytes) -> bool:
    fields = _fields(header)
    if not fields:
        return False
    offset, entry_bytes, count = fields[4], fields[8], fields[9]
    file.seek(0, 2)
    return entry_bytes == ENTRY_BYTES[header[4]] and count > 0 and offset + entry_bytes * count <= file.tell()


def _fields(header: bytes) -> tuple[int, ...] | None:
    """Return e_type, e_machine, e_version, e_entry, e_phoff, e_shoff, e_flags, e_ehsize, e_phentsize and e_phnum."""
    if not header.startswith(MAGIC) or len(header) < LONGEST_HEADER:
        return None
    if header[4] not in FIELDS or header[5] not in ORDERS:
        return None
    return struct.unpack_from(ORDERS[header[5]] + FIELDS[header[4]], header, 16)


def _are_interpreted() -> bool:
    """Whether something such as QEMU may run what is for other machines (binfmt_misc)."""
    with suppress(OSError):
        return not {"register", "status"}.issuperset(os.listdir("/proc/sys/fs/binfmt_misc"))
    return False


@functools.cache
def _machines_here() -> frozenset[int]:
    with open("/proc/self/exe", "rb") as file:
        own = _machine(file.read(LONGEST_HEADER))
    return frozenset() if own is None else frozenset({own, *ALSO.get(own, ())})

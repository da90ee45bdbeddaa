"""Real ELF files that this host refuses to start, each made of one of its own programs."""

from __future__ import annotations

import re
import shutil
import struct
from pathlib import Path

import pytest


def _true() -> bytes:
    return Path(shutil.which("true") or "/bin/true").read_bytes()


def _replaced(program: bytes, old: bytes, new: bytes) -> bytes:
    if old not in program or len(old) != len(new):
        pytest.skip(f"this host's programs do not contain {old!r}")
    return program.replace(old, new)


def lacking_a_library() -> bytes:
    """Return a program that needs a library that does not exist."""
    return _replaced(_true(), b"\0libc.so.6\0", b"\0libq.so.6\0")


def lacking_a_loader() -> bytes:
    """Return a program that names a loader that does not exist."""
    program = _true()
    if not (loader := re.search(rb"/lib\S*/ld-linux[\w-]*\.so\.\d", program)):
        pytest.skip("this host's programs name no loader that is known here")
    return _replaced(program, loader[0], loader[0][:-1] + b"9")


def for_a_newer_library() -> bytes:
    """Return a program that needs a newer version of the C library than any."""
    program = _true()
    if not (version := re.search(rb"\0(GLIBC_2\.3\d)\0", program)):
        pytest.skip("this host's programs need no version of glibc that is known here")
    newer = version[1][:-2] + b"99"
    program = _replaced(program, struct.pack("<I", _elf_hash(version[1])), struct.pack("<I", _elf_hash(newer)))
    return _replaced(program, version[1], newer)


def for_another_machine() -> bytes:
    """Return a program for a machine that does not exist."""
    program = _true()
    return program[:18] + struct.pack("<H", 999) + program[20:]


def cut_short() -> bytes:
    """Return the beginning of a program."""
    return _true()[:100]


def cut_later() -> bytes:
    """Return a longer beginning, which ends within the name of the loader."""
    program = _true()
    return program[: program.index(b"/lib") + 5]


def _elf_hash(name: bytes) -> int:
    value = 0
    for each in name:
        value = (value << 4) + each
        value ^= (value & 0xF0000000) >> 24
        value &= 0x0FFFFFFF
    return value

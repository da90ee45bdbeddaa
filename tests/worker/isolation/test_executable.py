"""Whether an ELF file can be started is what the kernel says, told before it is asked."""

from __future__ import annotations

import os
import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest

from jobqueue.worker.isolation import executable
from jobqueue.worker.isolation.bubblewrap import refuse_what_cannot_start as refuse

TRUE = Path("/bin/true").read_bytes()
PHENTSIZE, PHNUM, PHOFF, MACHINE, TYPE, CLASS, ORDER = 54, 56, 32, 18, 16, 4, 5
WIDE_ONLY = pytest.mark.skipif(TRUE[CLASS] != executable.WIDE, reason="the places of fields are those of 64 bits")


def with_byte(place: int, value: int) -> bytes:
    return TRUE[:place] + bytes([value]) + TRUE[place + 1 :]


@WIDE_ONLY
@pytest.mark.parametrize(
    "content",
    [
        TRUE,
        TRUE[:64],
        TRUE[:63],
        TRUE[:200],
        executable.MAGIC,
        b"",
        executable.MAGIC + b"\necho I ran as a shell script; exit 0" + b" " * 100,
        with_byte(TYPE, 1),
        with_byte(CLASS, 0),
        with_byte(CLASS, 1),
        with_byte(ORDER, 2),
        with_byte(TYPE, 4),
        with_byte(PHNUM, 0),
        with_byte(PHENTSIZE, 55),
        with_byte(PHOFF + 5, 1),
        with_byte(MACHINE, 20),
        b"MZ" + TRUE[2:],
    ],
)
def test_it_is_what_the_kernel_says(tmp_path: Path, content: bytes) -> None:
    program = tmp_path / "program"
    program.write_bytes(content)
    program.chmod(0o700)
    with program.open("rb") as file:
        told = executable.can_start(file)
    try:
        subprocess.run([program], check=False, env={})
        starts = True
    except OSError:
        starts = False
    assert told == starts


@WIDE_ONLY
def test_what_loads_it_is_found(tmp_path: Path) -> None:
    with open("/bin/true", "rb") as file:
        loader = executable.loader(file)
    assert loader is not None
    assert Path(loader).is_file()
    program = tmp_path / "program"
    program.write_bytes(TRUE.replace(loader.encode() + b"\0", loader.replace("/ld", "/no").encode() + b"\0"))
    program.chmod(0o700)
    with pytest.raises(FileNotFoundError):
        subprocess.run([program], check=False)
    with program.open("rb") as file:
        assert executable.loader(file) == loader.replace("/ld", "/no")
    with pytest.raises(FileNotFoundError):
        refuse(str(program))


@pytest.mark.parametrize(
    ("first_line", "error"),
    [
        ("#!/bin/sh\r", FileNotFoundError),
        ("#! /no/such -x", FileNotFoundError),
        ("#!/usr", PermissionError),
        ("#!/etc/passwd", PermissionError),
        ("#!", OSError),
        ("#!\t/bin/sh -e", None),
        ("#!/bin/sh", None),
    ],
)
def test_of_a_script_it_is_what_the_kernel_says(tmp_path: Path, first_line: str, error: type[OSError] | None) -> None:
    program = tmp_path / "program"
    program.write_text(f"{first_line}\nexit 0\n")
    program.chmod(0o700)
    for start in (lambda: subprocess.run([program], check=True), lambda: refuse(str(program))):
        with pytest.raises(error) if error else nullcontext():
            start()


@WIDE_ONLY
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="it is x86-64 that runs i386's, too")
def test_what_the_processor_runs_too_is_for_this_machine() -> None:
    assert 3 in executable._machines_here()

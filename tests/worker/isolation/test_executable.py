"""What the first bytes of a file say about a start is what the kernel says when it is asked to start it."""

from __future__ import annotations

import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest

from jobqueue.worker.isolation import executable

STARTS = [
    ("#!/bin/sh", None),
    ("#!\t/bin/sh -e", None),
    ("#!/bin/sh\r", FileNotFoundError),
    ("#! /no/such -x", FileNotFoundError),
    ("#!/usr", PermissionError),
    ("#!/etc/passwd", PermissionError),
    ("#!", OSError),
    ("#! ", OSError),
    ("", OSError),
    ("<html>", OSError),
    ("MZ", OSError),
    ("exit 0", OSError),
]


@pytest.mark.parametrize(("first_line", "error"), STARTS)
def test_a_script_is_refused_as_the_kernel_refuses_it(
    tmp_path: Path, first_line: str, error: type[OSError] | None
) -> None:
    program = tmp_path / "program"
    program.write_text(f"{first_line}\nexit 0\n")
    program.chmod(0o700)
    for start in (lambda: subprocess.run([program], check=True), lambda: executable.require_startable(str(program))):
        with pytest.raises(error) if error else nullcontext():
            start()


def test_an_elf_file_is_left_to_the_kernel() -> None:
    executable.require_startable("/bin/true")


@pytest.mark.parametrize(("content", "is_elf"), [(b"\x7fELF\x02", True), (b"\x7fEL", False), (b"#!/bin/sh", False)])
def test_an_elf_file_is_recognized_by_its_first_bytes(tmp_path: Path, content: bytes, is_elf: bool) -> None:
    program = tmp_path / "program"
    program.write_bytes(content)
    with program.open("rb") as file:
        assert executable.is_elf(file) == is_elf


@pytest.mark.parametrize(
    ("content", "interpreter"),
    [
        (b"#!/bin/sh -e\n", "/bin/sh"),
        (b"#! \t/usr/bin/env python3\n", "/usr/bin/env"),
        (b"#!\n", ""),
        (b"#!/" + b"x" * 1000, "/" + "x" * 253),
        (b"\x7fELF", None),
        (b"", None),
    ],
)
def test_the_interpreter_of_a_script_is_read_as_the_kernel_reads_it(
    tmp_path: Path, content: bytes, interpreter: str | None
) -> None:
    program = tmp_path / "program"
    program.write_bytes(content)
    with program.open("rb") as file:
        assert executable.interpreter(file) == interpreter


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        executable.require_startable(str(tmp_path / "missing"))

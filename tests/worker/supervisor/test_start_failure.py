"""Why a program could not be started, and whether the host is at fault."""

from __future__ import annotations

import errno
import os
import signal
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from jobqueue.worker.failures import Failure
from jobqueue.worker.isolation import executable
from jobqueue.worker.supervisor.messages import Launch, Outcome, signal_name
from jobqueue.worker.supervisor.output_file import Outputs
from jobqueue.worker.supervisor.start_failure import start_failed

LAUNCH = Launch("/attempt/program", [], {}, "/attempt/directory")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.E2BIG, errno.ELOOP, errno.ENAMETOOLONG])
def test_a_start_that_this_host_does_not_permit_may_be_permitted_by_another(number: int) -> None:
    outcome = start_failed(OSError(number, os.strerror(number), LAUNCH.program), LAUNCH)
    reason = f"could not be started: {os.strerror(number)}"
    assert outcome == Outcome(start_failure=reason, failure=Failure.NOT_PERMITTED)


@pytest.mark.parametrize(
    "number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EIO, errno.ETXTBSY]
)
def test_an_error_of_this_host_is_a_host_fault(number: int) -> None:
    outcome = start_failed(OSError(number, os.strerror(number), LAUNCH.program), LAUNCH)
    reason = f"could not be started: {os.strerror(number)}"
    assert outcome == Outcome(start_failure=reason, failure=Failure.HOST)


def elf(machine: int, file_type: int = 2, elf_class: int = 2, size: int = 64) -> bytes:
    """Return the header of an ELF file."""
    header = b"\x7fELF" + bytes([elf_class, 1, 1]) + bytes(9) + struct.pack("<HH", file_type, machine)
    return header.ljust(size, b"\0")


OWN = (executable.own_machine() or (0, 0, 0))[2]
OTHER = 62 if OWN != 62 else 183
NO_PROGRAM = "it is neither an ELF file nor a script whose first line is #! and an interpreter"


@pytest.mark.parametrize(
    ("number", "content", "failure", "reason"),
    [
        (errno.ENOENT, b"#!/bin/sh\r\necho hello\r\n", Failure.MISSING, r"its interpreter '/bin/sh\r' does not exist"),
        (errno.ENOENT, b"#! /no/such -x y\n", Failure.MISSING, "its interpreter '/no/such' does not exist"),
        (errno.ENOENT, elf(OWN), Failure.MISSING, "the loader that it names does not exist"),
        (errno.ENOEXEC, elf(OWN), Failure.DAMAGED, "it is damaged"),
        (errno.ENOEXEC, elf(OWN, size=20)[:19], Failure.DAMAGED, "it is damaged"),
        (errno.ENOEXEC, elf(OTHER, file_type=1), Failure.DAMAGED, "it is damaged"),
        (errno.ENOEXEC, elf(OTHER, elf_class=7), Failure.DAMAGED, "it is damaged"),
        (errno.EIO, elf(OWN)[:32] + b"\x40" + elf(OWN)[33:56] + b"\1" + bytes(7), Failure.DAMAGED, "it is damaged"),
        (errno.EIO, b"#!/bin/sh\n", Failure.HOST, "Input/output error"),
        (errno.ENOEXEC, elf(OTHER), Failure.OTHER_MACHINE, "it is for another kind of machine"),
        (errno.ENOEXEC, elf(OWN, elf_class=1), Failure.OTHER_MACHINE, "it is for another kind of machine"),
        (errno.ENOEXEC, elf(999), Failure.OTHER_MACHINE, "it is for another kind of machine (number 999)"),
        (errno.ENOEXEC, b"", Failure.NOT_A_PROGRAM, NO_PROGRAM),
        (errno.ENOEXEC, b"<html>", Failure.NOT_A_PROGRAM, NO_PROGRAM),
        (errno.ENOEXEC, b"#!\n", Failure.NOT_A_PROGRAM, NO_PROGRAM),
        (
            errno.ENOEXEC,
            b"#!/opt/tool\n",
            Failure.MISSING,
            "its interpreter '/opt/tool' is not a program that this host",
        ),
        (errno.EACCES, b"", Failure.NOT_PERMITTED, "Permission denied"),
    ],
)
def test_the_reason_names_what_is_wrong_with_the_file(
    tmp_path: Path, number: int, content: bytes, failure: Failure, reason: str
) -> None:
    """For a script without its interpreter, the kernel reports that the script does not exist."""
    program = tmp_path / "program"
    program.write_bytes(content)
    launch = replace(LAUNCH, program=str(program))
    outcome = start_failed(OSError(number, os.strerror(number), launch.program), launch)
    assert outcome.failure is failure
    assert str(outcome.start_failure).startswith(f"could not be started: {reason}")


def test_a_program_that_somebody_has_removed_is_a_host_fault() -> None:
    outcome = start_failed(FileNotFoundError(errno.ENOENT, "No such file or directory", LAUNCH.program), LAUNCH)
    assert outcome.failure is Failure.HOST


def test_a_sandbox_that_is_gone_is_a_host_fault_and_its_path_is_not_shown() -> None:
    outcome = start_failed(FileNotFoundError(errno.ENOENT, "No such file or directory", "/usr/bin/bwrap"), LAUNCH)
    assert outcome == Outcome(start_failure="could not be started: No such file or directory", failure=Failure.HOST)


def test_a_missing_directory_is_a_host_fault() -> None:
    outcome = start_failed(FileNotFoundError(errno.ENOENT, "No such file or directory", LAUNCH.directory), LAUNCH)
    assert outcome.host_fault
    assert outcome.start_failure == "could not be started: its directory is gone"


def test_an_argument_that_no_program_can_receive_is_no_host_fault() -> None:
    assert start_failed(ValueError("embedded null byte"), LAUNCH) == Outcome(
        start_failure="could not be started: embedded null byte", failure=Failure.ARGUMENTS
    )


def test_a_failure_between_fork_and_exec_is_a_host_fault() -> None:
    outcome = start_failed(subprocess.SubprocessError("Exception occurred in preexec_fn."), LAUNCH)
    assert outcome.host_fault


@pytest.mark.parametrize("number", sorted(signal.Signals))
def test_a_signal_with_a_name_is_called_by_it(number: signal.Signals) -> None:
    assert signal_name(int(number)) == number.name


def test_a_signal_without_a_name_is_counted_from_the_first_real_time_signal() -> None:
    assert signal_name(signal.SIGRTMIN + 3) == "SIGRTMIN+3"
    assert signal_name(signal.SIGRTMIN - 1) == "SIGRTMIN-1"


def test_every_signal_has_a_name_of_its_own() -> None:
    assert len({signal_name(number) for number in range(1, signal.SIGRTMAX + 1)}) == signal.SIGRTMAX


def test_outputs_can_be_read_more_than_once() -> None:
    outcome = Outcome(0, outputs=Outputs.write({"stdout": "out ü", "stderr": "err\0"}))
    for _ in range(2):
        assert (outcome.stdout, outcome.stderr) == ("out ü", "err\0")


def test_an_outcome_without_a_run_has_empty_outputs() -> None:
    assert (Outcome().stdout, Outcome().stderr) == ("", "")

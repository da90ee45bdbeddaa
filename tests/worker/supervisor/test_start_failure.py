"""Why a program could not be started, and whether the host is at fault."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from jobqueue.worker.supervisor.messages import Launch, Outcome, signal_name
from jobqueue.worker.supervisor.output_file import Outputs
from jobqueue.worker.supervisor.start_failure import start_failed

LAUNCH = Launch("/attempt/program", [], {}, "/attempt/directory")


@pytest.mark.parametrize(
    "number", [errno.EACCES, errno.ENOEXEC, errno.E2BIG, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG]
)
def test_an_error_that_every_host_would_raise_is_no_host_fault(number: int) -> None:
    outcome = start_failed(OSError(number, os.strerror(number), LAUNCH.program), LAUNCH)
    assert outcome == Outcome(start_failure=f"could not be started: {os.strerror(number)}")


@pytest.mark.parametrize(
    "number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EIO, errno.ETXTBSY]
)
def test_an_error_of_this_host_is_a_host_fault(number: int) -> None:
    outcome = start_failed(OSError(number, os.strerror(number), LAUNCH.program), LAUNCH)
    assert outcome == Outcome(start_failure=f"could not be started: {os.strerror(number)}", host_fault=True)


@pytest.mark.parametrize(
    ("number", "content", "reason"),
    [
        (errno.ENOENT, b"#!/bin/sh\r\necho hello\r\n", r"its interpreter '/bin/sh\r' does not exist"),
        (errno.ENOENT, b"#! /no/such -x y\n", "its interpreter '/no/such' does not exist"),
        (errno.ENOENT, b"\x7fELF\x02\x01", "the loader that it names does not exist"),
        (errno.ENOEXEC, b"\x7fELF\x02\x01", "it is damaged, or for another kind of machine"),
        (errno.ENOEXEC, b"", "it is neither an ELF file nor a script whose first line is #! and an interpreter"),
        (errno.ENOEXEC, b"<html>", "it is neither an ELF file nor a script whose first line is #! and an interpreter"),
        (errno.ENOEXEC, b"#!\n", "Exec format error"),
        (errno.EACCES, b"", "Permission denied"),
    ],
)
def test_the_reason_names_what_is_wrong_with_the_file(tmp_path: Path, number: int, content: bytes, reason: str) -> None:
    """For a script without its interpreter, the kernel reports that the script does not exist."""
    program = tmp_path / "program"
    program.write_bytes(content)
    launch = replace(LAUNCH, program=str(program))
    assert start_failed(OSError(number, os.strerror(number), launch.program), launch) == Outcome(
        start_failure=f"could not be started: {reason}"
    )


def test_a_missing_directory_is_a_host_fault() -> None:
    outcome = start_failed(FileNotFoundError(errno.ENOENT, "No such file or directory", LAUNCH.directory), LAUNCH)
    assert outcome.host_fault
    assert outcome.start_failure == "could not be started: its directory is gone"


def test_an_argument_that_no_program_can_receive_is_no_host_fault() -> None:
    assert start_failed(ValueError("embedded null byte"), LAUNCH) == Outcome(
        start_failure="could not be started: embedded null byte"
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

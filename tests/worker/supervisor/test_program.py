"""A program gets exactly what its launch says; its outputs and how it ends are reported exactly."""

from __future__ import annotations

import json
import os
import signal
import threading
import time

import pytest

from jobqueue.worker.supervisor.messages import Outcome, signal_name
from tests.support.arguments import ODD_ARGUMENTS
from tests.support.programs import ARGUMENTS, ENVIRONMENT, EXIT_WITH, PYTHON, SHELL, Stage


def test_a_program_gets_its_arguments_exactly(stage: Stage) -> None:
    assert json.loads(stage.run(ARGUMENTS, *ODD_ARGUMENTS).stdout) == ODD_ARGUMENTS


def test_a_program_without_arguments_gets_none(stage: Stage) -> None:
    assert json.loads(stage.run(ARGUMENTS).stdout) == []


def test_the_longest_argument_that_linux_takes_arrives(stage: Stage) -> None:
    assert stage.run(SHELL + "echo ${#1}", "x" * 131_071).stdout == "131071\n"


def test_the_environment_is_the_one_given_and_nothing_else(stage: Stage) -> None:
    given = {"KEY": "a=b\nc", "EMPTY": "", "ümläut": "日本", "not a name": "1", "PATH": "/nowhere"}
    outcome = stage.run(SHELL + "/bin/cat /proc/$$/environ", environment=given)
    assert dict(line.split("=", 1) for line in outcome.stdout.split("\0")[:-1]) == given


def test_an_empty_environment_stays_empty(stage: Stage) -> None:
    assert stage.run(ENVIRONMENT, environment={}).stdout == ""


def test_a_program_starts_in_its_directory(stage: Stage) -> None:
    launch = stage.launch(SHELL + "pwd -P; ls -A")
    assert stage.run(SHELL + "pwd -P; ls -A").stdout == launch.directory.replace("work-0", "work-1") + "\n"


def test_the_standard_input_of_a_program_is_empty(stage: Stage) -> None:
    assert stage.run(SHELL + "cat; echo end").stdout == "end\n"


def test_a_program_has_no_other_file_open(stage: Stage) -> None:
    """Neither the socket to the worker nor a pipe of another job's."""
    listing = PYTHON + "import os; print(sorted(int(n) for n in os.listdir('/proc/self/fd'))[:-1])"
    script, directory = 3, 4
    assert set(json.loads(stage.run(listing).stdout)) <= {0, 1, 2, script, directory}


def test_files_that_a_program_creates_are_closed_to_other_users(stage: Stage) -> None:
    assert stage.run(SHELL + "umask").stdout == "0077\n"


def test_a_program_leads_a_session_of_its_own(stage: Stage) -> None:
    outcome = stage.run(PYTHON + "import os; print(os.getsid(0) == os.getpgrp() == os.getpid())")
    assert outcome.stdout == "True\n"


def test_a_program_starts_with_no_signal_ignored_or_blocked(stage: Stage) -> None:
    """An ignored signal stays ignored over exec, and a blocked one stays blocked."""
    outcome = stage.run(SHELL + "exec grep -E '^Sig(Ign|Blk)' /proc/self/status")
    reserved = 1 << 31 | 1 << 32  # signals 32 and 33 belong to the C library; Python cannot change them
    assert [int(line.split()[1], 16) & ~reserved for line in outcome.stdout.splitlines()] == [0, 0]


def test_exit_codes_are_reported(stage: Stage) -> None:
    for code in (*range(0, 256, 16), 1, 2, 126, 127, 129, 137, 143, 255):
        outcome = stage.run(EXIT_WITH, str(code))
        assert (outcome.exit_code, outcome.measured.signal) == (code, None)


@pytest.mark.parametrize("number", [1, 2, 3, 6, 9, 11, 13, 15, signal.SIGRTMIN, 64])
def test_a_program_killed_by_signal_n_has_exit_code_128_plus_n(stage: Stage, number: int) -> None:
    outcome = stage.run(SHELL + "kill -$1 $$; sleep 60", str(int(number)))
    assert (outcome.exit_code, outcome.measured.signal, outcome.stopped) == (128 + number, signal_name(number), False)


def test_exit_code_137_differs_from_signal_9(stage: Stage) -> None:
    outcome = stage.run(EXIT_WITH, "137")
    assert (outcome.exit_code, outcome.measured.signal) == (137, None)


@pytest.mark.parametrize("program", [b"", b"<html>not found</html>", b"\x7fELF\x02\x01\x01", b"MZ\x90\0", b"\0" * 100])
def test_a_file_that_is_no_program_is_not_started(stage: Stage, program: bytes) -> None:
    outcome = stage.run(program)
    assert outcome.start_failure is not None
    assert outcome.start_failure.startswith("could not be started: ")
    assert outcome.exit_code is None


@pytest.mark.parametrize("interpreter", ["/nowhere/python", "/bin/sh\r"])
def test_a_missing_interpreter_is_reported_as_such(stage: Stage, interpreter: str) -> None:
    outcome = stage.run(f"#!{interpreter}\necho hello\n")
    assert outcome.start_failure is not None
    assert "interpreter" in outcome.start_failure


@pytest.mark.parametrize("argument", ["x" * 131_072, "\0", "\ud800"])
def test_an_argument_that_linux_cannot_pass_is_a_start_failure(stage: Stage, argument: str) -> None:
    assert stage.run(SHELL + "echo started", argument).start_failure is not None
    assert stage.run(SHELL + "echo started").stdout == "started\n"


@pytest.mark.parametrize("environment", [{"A=B": "c"}, {"A": "\0"}, {"A\0": "b"}, {"A": "x" * 131_072}])
def test_an_environment_that_linux_cannot_pass_is_a_start_failure(stage: Stage, environment: dict[str, str]) -> None:
    assert stage.run(SHELL + "echo started", environment=environment).start_failure is not None


def test_standard_output_and_standard_error_are_kept_apart(stage: Stage) -> None:
    outcome = stage.run(SHELL + "echo out; echo err >&2; echo out")
    assert (outcome.stdout, outcome.stderr) == ("out\nout\n", "err\n")


def test_output_written_just_before_the_end_is_kept(stage: Stage) -> None:
    for size in (65_535, 65_536, 65_537, 300_000):
        outcome = stage.run(SHELL + f"head -c {size} /dev/zero | tr '\\0' x; printf end >&2")
        assert (len(outcome.stdout), outcome.stderr) == (size, "end")


def test_a_program_that_closes_its_outputs_goes_on(stage: Stage) -> None:
    outcome = stage.run(SHELL + "echo out; exec >&- 2>&-; sleep 0.2; exit 7")
    assert (outcome.exit_code, outcome.stdout) == (7, "out\n")


def test_output_that_is_not_utf_8_becomes_text(stage: Stage) -> None:
    outcome = stage.run(SHELL + r"printf '\377\376ok\0\303\n'; printf '\355\240\200' >&2")
    assert outcome.stdout == "��ok\0�\n"
    assert outcome.stderr == "�" * 3


def test_characters_that_come_in_pieces_are_put_together(stage: Stage) -> None:
    program = (
        PYTHON
        + """
import fcntl, os, termios
for byte in '€🎉'.encode():
    os.write(1, bytes([byte]))
    while any(fcntl.ioctl(1, termios.FIONREAD, bytes(4))):  # until it is read
        os.sched_yield()
"""
    )
    assert stage.run(program).stdout == "€🎉"


def cpu_seconds(outcome: Outcome) -> float:
    return (outcome.measured.user_cpu_seconds or 0) + (outcome.measured.system_cpu_seconds or 0)


def test_cpu_and_memory_are_those_of_the_program_and_all_it_started(stage: Stage) -> None:
    burn = PYTHON + "import os, time\nif os.fork() == 0:\n    data = bytearray(80 << 20)\n"
    outcome = stage.run(burn + "    while time.process_time() < 0.2: pass\nelse:\n    os.wait()")
    assert 0.2 <= cpu_seconds(outcome) < 60
    assert (outcome.measured.peak_memory_bytes or 0) > 80 << 20
    small = stage.run(SHELL + "exit 0")
    assert (small.measured.peak_memory_bytes or 0) < 80 << 20
    assert cpu_seconds(small) < 0.2


def test_start_and_end_are_measured_in_milliseconds_since_1970(stage: Stage) -> None:
    before = time.time_ns() // 1_000_000
    outcome = stage.run(SHELL + "sleep 0.1")
    assert outcome.measured.program_started_at_ms is not None
    assert outcome.measured.program_ended_at_ms is not None
    assert before <= outcome.measured.program_started_at_ms <= outcome.measured.program_ended_at_ms - 100
    assert outcome.measured.program_ended_at_ms <= time.time_ns() // 1_000_000


def test_a_file_that_is_busy_for_a_moment_is_started(stage: Stage) -> None:
    launch = stage.launch(SHELL + "echo started")
    os.chmod(launch.program, 0o700)
    with open(launch.program, "ab"):
        run = stage.begin_launch(launch)
    assert run.result(10).stdout == "started\n"


def test_a_file_that_stays_busy_is_a_host_fault(stage: Stage) -> None:
    launch = stage.launch(SHELL)
    os.chmod(launch.program, 0o700)
    with open(launch.program, "ab"):
        outcome = stage.slot.run(launch, threading.Event())
    assert outcome.start_failure == "could not be started: Text file busy"
    assert outcome.host_fault


def test_a_directory_that_is_gone_is_a_host_fault(stage: Stage) -> None:
    launch = stage.launch(SHELL)
    os.rmdir(launch.directory)
    outcome = stage.slot.run(launch, threading.Event())
    assert outcome.host_fault
    assert "directory" in str(outcome.start_failure)


def test_a_program_gets_few_files_no_core_dumps_and_no_new_rights(stage: Stage) -> None:
    limits = "ulimit -n; ulimit -c; cat /proc/$$/oom_score_adj; exec grep NoNewPrivs /proc/self/status"
    outcome = stage.run(SHELL + limits)
    assert outcome.stdout.split() == ["4096", "0", "500", "NoNewPrivs:", "1"]


def test_a_programs_priority_is_below_its_workers(stage: Stage) -> None:
    assert stage.run(PYTHON + "import os; print(os.nice(0))").stdout == f"{os.nice(0) + 5}\n"

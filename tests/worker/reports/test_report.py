"""A report says in the API's words how an attempt ended: what ran, why it ended, and what was measured."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from jobqueue.job import Measured, Reason
from jobqueue.worker.reports.report import Report, ended, failed, released
from jobqueue.worker.supervisor.messages import Outcome, signal_name
from jobqueue.worker.supervisor.output_file import Outputs

HOLDER = {"executor_id": "executor-1", "attempt_token": "token-1"}


def body_of(report: Report) -> Any:
    """Return the body of a report as the API reads it."""
    with report.body(HOLDER) as body:
        body.seek(0)
        return json.load(body)


def killed(number: int, **facts: Any) -> Outcome:
    """Return the outcome of a program that a signal killed."""
    return Outcome(128 + number, measured=Measured(signal=signal_name(number)), **facts)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    ("outcome", "reason", "signal", "message"),
    [
        (Outcome(0), Reason.EXITED, None, None),
        (Outcome(3), Reason.EXITED, None, "exited with code 3"),
        (Outcome(137), Reason.EXITED, None, "exited with code 137"),
        (killed(9), Reason.SIGNALLED, "SIGKILL", "killed by signal 9 (SIGKILL)"),
        (killed(37), Reason.SIGNALLED, "SIGRTMIN+3", "killed by signal 37 (SIGRTMIN+3)"),
        (
            killed(9, oom_killed=True),
            Reason.OOM_KILLED,
            "SIGKILL",
            "killed when the machine ran out of memory",
        ),
        (killed(15, timed_out=True), Reason.TIMEOUT, "SIGTERM", "ran for longer than 2.5 seconds"),
        (Outcome(0, timed_out=True), Reason.TIMEOUT, None, "ran for longer than 2.5 seconds"),
    ],
)
def test_only_exit_code_0_in_time_is_a_success_and_every_failure_says_why(
    outcome: Outcome, reason: Reason, signal: str | None, message: str | None
) -> None:
    report = ended(outcome, 2.5, cancelled=False)
    body = body_of(report)
    assert report.verb == ("fail" if message else "complete")
    assert (body["reason"], body["exit_code"], body["signal"]) == (reason, outcome.exit_code, signal)
    assert body.get("error_message") == message


def test_a_time_limit_of_one_second_is_singular() -> None:
    late = ended(Outcome(0, timed_out=True), 1.0, cancelled=False)
    assert str(body_of(late)["error_message"]) == "ran for longer than 1 second"


@pytest.mark.parametrize("outcome", [Outcome(0), Outcome(1), killed(9), Outcome(0, timed_out=True)])
def test_a_cancelled_program_is_reported_as_cancelled_however_it_ended(outcome: Outcome) -> None:
    report = ended(outcome, 2.5, cancelled=True)
    assert (report.verb, body_of(report)["reason"]) == ("fail", "cancelled")


def test_a_report_has_everything_that_was_measured() -> None:
    outcome = Outcome(
        0,
        measured=Measured(None, 9, 1, False, True, 0.5, 0.25, 4096, None, 2, 3),
        outputs=Outputs.write({"stdout": 'out "ü"\0\n', "stderr": "\U0001f389"}),
    )
    assert body_of(ended(outcome, None, cancelled=False, download_started_at_ms=1)) == {
        **HOLDER,
        "reason": "exited",
        "exit_code": 0,
        "signal": None,
        "stdout": 'out "ü"\0\n',
        "stderr": "\U0001f389",
        "stdout_bytes": 9,
        "stdout_truncated": False,
        "stderr_bytes": 1,
        "stderr_truncated": True,
        "user_cpu_seconds": 0.5,
        "system_cpu_seconds": 0.25,
        "peak_memory_bytes": 4096,
        "download_started_at_ms": 1,
        "program_started_at_ms": 2,
        "program_ended_at_ms": 3,
    }


def test_a_program_that_never_ran_has_no_exit_code() -> None:
    report = failed(Reason.CHECKSUM_MISMATCH, "checksum mismatch", download_started_at_ms=1)
    assert report.verb == "fail"
    assert body_of(report) == {
        **HOLDER,
        "reason": "checksum_mismatch",
        "exit_code": None,
        "error_message": "checksum mismatch",
        "download_started_at_ms": 1,
    }


def test_a_release_carries_its_reason_and_a_message_if_there_is_one() -> None:
    report = released(Reason.WORKER_SHUTDOWN)
    assert report.verb == "release"
    assert body_of(report) == {**HOLDER, "reason": "worker_shutdown"}
    explained = released(Reason.HOST_FAULT, "the disk is full")
    assert body_of(explained) == {**HOLDER, "reason": "host_fault", "error_message": "the disk is full"}


def test_a_body_names_the_holder_even_when_there_is_nothing_else_to_say() -> None:
    assert body_of(Report("release", {})) == HOLDER
    assert body_of(Report("complete", {}, Outputs.write({"stdout": "", "stderr": ""}))) == {
        **HOLDER,
        "stdout": "",
        "stderr": "",
    }


def test_the_length_of_a_body_is_known_before_it_is_sent() -> None:
    """The length is that of the file, so no part of the body may wait in a buffer."""
    with Report("complete", {"reason": "exited"}, Outputs.write({"stdout": "x"})).body(HOLDER) as body:
        size = os.fstat(body.fileno()).st_size
        body.seek(0)
        assert size == len(body.read())


def test_a_small_report_takes_no_descriptor() -> None:
    """It has to be possible when none is left."""
    before = open_files()
    with Report("release", {"reason": "worker_shutdown"}).body(HOLDER) as body:
        assert open_files() == before
        body.seek(0)
        assert json.load(body) == {**HOLDER, "reason": "worker_shutdown"}


def test_a_large_body_is_made_in_the_file_of_the_outputs_and_nothing_stays_open() -> None:
    before = open_files()
    outputs = Outputs.write({"stdout": "x" * 1_000_000, "stderr": "\0" * 1_000_000})
    report = Report("complete", {"exit_code": 0}, outputs)
    with report.body(HOLDER) as body:
        assert outputs.fd == -1
        assert open_files() == before + 1
        body.seek(0)
        assert json.load(body)["stderr"] == "\0" * 1_000_000
    assert open_files() == before

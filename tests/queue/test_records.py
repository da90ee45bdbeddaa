"""`queue/records/jobs.py`: everything that is written can be read back."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from jobqueue.job import Attempt, AttemptStatus, JobSummary, Measured, Priority, Reason, Spec, Status
from jobqueue.queue.records.jobs import (
    read_attempt,
    read_job,
    read_measured,
    read_spec,
    read_summaries,
    write_measured,
    write_spec,
)
from jobqueue.queue.scripts import Reply

TEXT = st.text(st.characters(codec="utf-8"))
SECONDS = st.floats(0, 1e9)
SPEC = Spec("http://127.0.0.1:1/program", "ab" * 32, ["one"], {"KEY": "value"})
PENDING = ["status", "pending", "priority", "background", "type", "demo", "sequence", "7", "created_at_ms", "1000"]
RUNNING = [
    *["status", "running", "priority", "foreground", "type", "demo", "sequence", "7", "created_at_ms", "1000"],
    *[
        "executor_id",
        "executor-1",
        "executor_ip",
        "10.0.0.1",
        "started_at_ms",
        "2000",
        "attempt_token",
        "secret",
        "attempt",
        "3",
    ],
]


def reply_with(fields: list[str], archive: list[str] | None = None, output: list[str] | None = None) -> Reply:
    """Return an answer of `read_job.lua`."""
    return ["the id", list(fields), write_spec(SPEC), list(archive or []), list(output or [])]


@settings(deadline=None)
@given(st.builds(Spec, TEXT, TEXT, st.lists(TEXT), st.dictionaries(TEXT, TEXT), st.none() | SECONDS))
def test_a_spec_reads_back_as_it_was_written(spec: Spec) -> None:
    assert read_spec(write_spec(spec)) == spec


def test_a_spec_is_compact_and_not_escaped() -> None:
    text = write_spec(Spec("http://host/é", "ab", (), {}))
    assert text == '{"binary_url":"http://host/é","binary_sha256":"ab","arguments":[],"env_variables":{}}'


def test_a_time_limit_is_written_only_where_there_is_one() -> None:
    assert write_spec(Spec("u", "s", timeout_seconds=1.5)).endswith(',"env_variables":{},"timeout_seconds":1.5}')


MEASURED = st.builds(
    Measured,
    signal=st.none() | TEXT,
    stdout_bytes=st.none() | st.integers(0, 2**53 - 1),
    stderr_truncated=st.booleans(),
    user_cpu_seconds=st.none() | SECONDS,
    download_started_at_ms=st.none() | st.integers(0, 2**48),
    program_started_at_ms=st.none() | st.integers(0, 2**48),
    program_ended_at_ms=st.none() | st.integers(0, 2**48),
)


@settings(deadline=None)
@given(MEASURED)
def test_measured_fields_read_back_as_they_were_written(measured: Measured) -> None:
    assert read_measured(write_measured(measured)) == measured


def test_measured_fields_are_written_without_their_names_and_moments_as_differences() -> None:
    started_at_ms = 1_700_000_000_000
    measured = Measured(None, 0, 3, False, True, 0.0, 0.5, 4096, started_at_ms, started_at_ms + 20, started_at_ms + 15)
    assert write_measured(measured) == "[null,0,3,0,1,0.0,0.5,4096,1700000000000,20,-5]"
    assert read_measured(None) == read_measured("") == Measured()


def test_measured_fields_that_an_older_server_wrote_are_read() -> None:
    assert read_measured('{"stdout_bytes":0,"stderr_truncated":true,"program_ended_at_ms":5}') == Measured(
        stdout_bytes=0, stderr_truncated=True, program_ended_at_ms=5
    )


def test_a_spec_is_read_with_and_without_the_names_of_its_fields() -> None:
    assert read_spec(write_spec(SPEC)) == read_spec(json.dumps(list(vars(SPEC).values()))) == SPEC


def test_a_cancel_request_is_read_from_the_job() -> None:
    assert read_job(reply_with([*RUNNING, "cancel_requested_at_ms", "2500"])).cancel_requested is True
    assert read_job(reply_with(RUNNING)).cancel_requested is False


def test_a_pending_job_has_no_attempt() -> None:
    job = read_job(reply_with(PENDING))
    assert (job.id, job.type, job.priority, job.status) == ("the id", "demo", Priority.BACKGROUND, Status.PENDING)
    assert (job.created_at_ms, job.started_at_ms, job.completed_at_ms, job.exit_code) == (1000, None, None, None)
    assert (list(job.attempts), job.spec) == ([], SPEC)


def test_a_running_job_s_last_attempt_is_the_one_that_runs() -> None:
    reply = reply_with(RUNNING, ["lost 1500 1900 - executor-0 lease_lost", "released 1900 1950 ::1 executor-0"])
    assert read_attempt(reply) == ("secret", 3)
    assert list(read_job(reply).attempts) == [
        Attempt("executor-0", None, 1500, 1900, AttemptStatus.LOST, Reason.LEASE_LOST),
        Attempt("executor-0", "::1", 1900, 1950, AttemptStatus.RELEASED),
        Attempt("executor-1", "10.0.0.1", 2000, None, AttemptStatus.RUNNING),
    ]


def test_an_ended_job_s_last_attempt_ended_with_it() -> None:
    ended = [*RUNNING, "status", "failed", "completed_at_ms", "3000", "exit_code", "-1", "reason", "timeout"]
    job = read_job(reply_with(ended, output=["stdout", "out", "stderr", "err", "error_message", "why"]))
    assert (job.status, job.exit_code, job.completed_at_ms) == (Status.FAILED, -1, 3000)
    assert (job.stdout, job.stderr, job.error_message) == ("out", "err", "why")
    status, reason = AttemptStatus.FAILED, Reason.TIMEOUT
    assert list(job.attempts) == [Attempt("executor-1", "10.0.0.1", 2000, 3000, status, reason, "why")]
    assert job.reason is Reason.TIMEOUT


def test_without_output_the_streams_are_empty_and_there_is_no_message() -> None:
    job = read_job(reply_with(PENDING))
    assert (job.stdout, job.stderr, job.error_message) == ("", "", None)


def test_an_exit_code_of_zero_is_not_none() -> None:
    job = read_job(reply_with([*RUNNING, "status", "completed", "completed_at_ms", "0", "exit_code", "0"]))
    assert (job.exit_code, job.completed_at_ms) == (0, 0)


def test_a_page_is_cut_into_its_jobs() -> None:
    page: list[Reply] = ["1", ["demo", "running", "foreground", "executor-1", "1000", "2000"]]
    page += ["2", ["größe", "pending", "best_effort", None, "3000", None]]
    assert read_summaries(page) == [
        JobSummary("1", "demo", Priority.FOREGROUND, Status.RUNNING, "executor-1", 1000, 2000),
        JobSummary("2", "größe", Priority.BEST_EFFORT, Status.PENDING, None, 3000, None),
    ]
    assert read_summaries([]) == []

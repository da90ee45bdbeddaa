"""Small reports share a file: each costs one write, survives the death of its worker, and takes no memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from jobqueue.job import Reason
from jobqueue.worker.reports import journal
from jobqueue.worker.reports.journal import Journal
from jobqueue.worker.reports.report import failed
from jobqueue.worker.reports.spool import Spool, SpooledReport
from tests.support.child_script import line_from, running
from tests.support.fake_api import FakeApi
from tests.support.spooling import SHORT_PAUSES, spooling

HOLDER = {"executor_id": 'wörker "1"', "attempt_token": "token-1"}

WORKER = """
import pathlib
from jobqueue.worker.reports.report import released
from jobqueue.worker.reports.spool import Spool
spool = Spool(pathlib.Path(sys.argv[1]), sys.argv[2])
for job_id in sys.argv[3:]:
    line = released("worker_shutdown").line(job_id, {"executor_id": "dead", "attempt_token": "token-1"})
    spool.append(job_id, "release", line, lambda: None)
print("written", flush=True)
sys.stdin.read()
"""


def line_of(job_id: str = "job-1", message: str = "a\nb") -> bytes:
    line = failed(Reason.EXEC_FAILED, message).line(job_id, HOLDER)
    assert line is not None
    return line


def add(spool: Spool, *job_ids: str) -> list[SpooledReport]:
    return [spool.append(job_id, "fail", line_of(job_id), lambda: None) for job_id in job_ids]


def files_in(parent: Path) -> list[Path]:
    return list(parent.glob("*/*.json"))


def test_a_line_becomes_a_result_of_a_batch_or_the_body_of_a_single_request() -> None:
    fields: dict[str, Any] = {"attempt_token": "token-1", "reason": "exec_failed", "exit_code": None}
    line = line_of()
    assert b"\n" not in line
    assert json.loads(journal.as_result(line)) == {
        "id": "job-1",
        "outcome": "fail",
        **fields,
        "error_message": "a\nb",
    }
    assert json.loads(journal.as_single(line)) == {
        "executor_id": HOLDER["executor_id"],
        **fields,
        "error_message": "a\nb",
    }
    assert journal.job_and_verb(line) == ("job-1", "fail")


def test_reports_share_a_file_that_is_removed_when_all_are_answered(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "http://api")
    first, second = add(spool, "job-1", "job-2")
    (path,) = files_in(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    spool.settle([first])
    assert json.loads(second.result())["id"] == "job-2"
    spool.settle([second])
    assert files_in(tmp_path) == []
    (third,) = add(spool, "job-3")
    assert json.loads(third.result())["id"] == "job-3"
    spool.settle([third])
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_a_large_journal_takes_no_more_reports_and_keeps_those_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MAX_BYTES", 100)
    spool = Spool(tmp_path, "http://api")
    reports = add(spool, "job-1", "job-2", "job-3")
    assert len(files_in(tmp_path)) == 3
    assert [json.loads(report.result())["id"] for report in reports] == ["job-1", "job-2", "job-3"]
    with capture_logs() as logs:
        spool.close()
    assert [(log["event"], log["reports"]) for log in logs] == [("reports_left", 3)]


def test_the_next_worker_sends_the_small_reports_that_a_killed_one_could_not(tmp_path: Path, api: FakeApi) -> None:
    """In the name of the worker that made them."""
    with running(WORKER, tmp_path, api.url, "job-1", "job-2") as process:
        assert line_from(process) == "written\n"
        process.kill()
    with capture_logs() as logs, spooling(tmp_path, api.server, SHORT_PAUSES) as reports:
        reports.wait_until_sent()
    assert [log["job_id"] for log in logs if log["event"] == "report_found"] == ["job-1", "job-2"]
    assert {(verb, body["executor_id"], body["reason"]) for verb, body in api.reports()} == {
        ("release", "dead", "worker_shutdown")
    }
    assert {request.path for request in api.seen("release")} == {"/jobs/job-1/release", "/jobs/job-2/release"}
    assert list(tmp_path.iterdir()) == []


def test_answered_reports_of_a_journal_are_not_adopted(tmp_path: Path) -> None:
    dead = Journal.create(tmp_path)
    lines = [dead.append(line_of(f"job-{number}")) for number in range(4)]
    dead.settle(lines[:1])
    dead.settle(lines[2:3])
    adopted = Journal.adopt(dead.path)
    assert [journal.job_and_verb(line.read())[0] for line in adopted.lines()] == ["job-1", "job-3"]


def test_a_line_that_a_killed_worker_did_not_finish_is_left_out(tmp_path: Path) -> None:
    dead = Journal.create(tmp_path)
    dead.append(line_of("job-1"))
    with dead.path.open("ab") as file:
        file.write(line_of("job-2")[:-5])
    adopted = Journal.adopt(dead.path)
    assert [journal.job_and_verb(line.read())[0] for line in adopted.lines()] == ["job-1"]


def test_a_report_that_somebody_has_cut_off_cannot_be_read(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "http://api")
    (report,) = add(spool, "job-1")
    with files_in(tmp_path)[0].open("r+b") as file:
        file.truncate(10)
    with pytest.raises(OSError, match="gone"):
        report.result()


def test_a_journal_whose_directory_was_removed_is_replaced(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "http://api")
    (first,) = add(spool, "job-1")
    (directory,) = tmp_path.iterdir()
    moved = directory.rename(tmp_path.with_name(f"{tmp_path.name}-moved"))
    [journal_file] = moved.glob("*.json")
    journal_file.unlink()
    with capture_logs() as logs:
        (second,) = add(spool, "job-2")
    assert [log["event"] for log in logs] == ["spool_gone"]
    assert [json.loads(report.result())["id"] for report in (first, second)] == ["job-1", "job-2"]
    assert len(files_in(tmp_path)) == 1

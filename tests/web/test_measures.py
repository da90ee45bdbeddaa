"""Measured fields and reasons: how they are reported, shown, and filled in where an executor left them out."""

from __future__ import annotations

import re
from typing import Any

import pytest

from jobqueue.job import Reason
from jobqueue.web.schemas.measured import reported, shown
from tests.support.paths import ROOT
from tests.support.web import Api

LIMIT = 1_048_576
MEASURED: dict[str, Any] = {
    "signal": "SIGRTMIN+3",
    "stdout_bytes": 2**53 - 1,
    "stderr_bytes": 0,
    "stdout_truncated": True,
    "stderr_truncated": False,
    "user_cpu_seconds": 0.25,
    "system_cpu_seconds": 3,
    "peak_memory_bytes": 4096,
}
TIMES = {
    "download_started_at": (1_700_000_001_999, "2023-11-14T22:13:21Z"),
    "program_started_at": (0, "1970-01-01T00:00:00Z"),
    "program_ended_at": (253_402_300_799_999, "9999-12-31T23:59:59Z"),
}


@pytest.fixture
def running(api: Api) -> dict[str, Any]:
    """A running job, as the claim answered it."""
    api.submit()
    return api.claim()


@pytest.mark.parametrize("verb", ["complete", "fail"])
def test_measured_fields_are_shown_as_they_were_reported(api: Api, running: dict[str, Any], verb: str) -> None:
    times: dict[str, Any] = {f"{name}_ms": milliseconds for name, (milliseconds, _) in TIMES.items()}
    assert api.report(verb, running["id"], **MEASURED, **times).status_code == 200
    job = api.get(f"/jobs/{running['id']}")
    assert {name: job[name] for name in MEASURED} == MEASURED
    assert {name: job[name] for name in TIMES} == {name: shown for name, (_, shown) in TIMES.items()}


@pytest.mark.parametrize("value", [{}, None])
def test_fields_that_were_not_measured_are_null(api: Api, running: dict[str, Any], value: Any) -> None:
    names = [*MEASURED, *(f"{name}_ms" for name in TIMES), "reason"]
    body: dict[str, Any] = {} if value == {} else dict.fromkeys(names)
    assert api.report("fail", running["id"], exit_code=None, stdout="é", **body).status_code == 200
    job = api.get(f"/jobs/{running['id']}")
    filled = {"stdout_bytes": 2, "stderr_bytes": 0, "stdout_truncated": False, "stderr_truncated": False}
    assert {name: job[name] for name in filled} == filled
    others = ({*MEASURED, *TIMES} - filled.keys()) | {"reason"}
    assert {name: job[name] for name in others} == dict.fromkeys(others)


def test_an_output_that_the_server_cuts_is_truncated_whatever_was_reported(api: Api, running: dict[str, Any]) -> None:
    api.report("fail", running["id"], stdout="é" * LIMIT, stdout_truncated=False, stderr="x" * (LIMIT + 1))
    job = api.get(f"/jobs/{running['id']}")
    shown = ("stdout_bytes", "stdout_truncated", "stderr_bytes", "stderr_truncated")
    assert [job[name] for name in shown] == [2 * LIMIT, True, LIMIT + 1, True]


@pytest.mark.parametrize("verb", ["complete", "fail"])
@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_shown_of_the_job_and_of_its_attempt(
    api: Api, running: dict[str, Any], verb: str, reason: str
) -> None:
    assert api.report(verb, running["id"], reason=reason).status_code == 200
    job = api.get(f"/jobs/{running['id']}")
    assert (job["reason"], job["attempts"][0]["reason"]) == (reason, reason)


@pytest.mark.parametrize("verb", ["complete", "fail"])
def test_a_report_with_an_exit_code_and_no_reason_means_exited(api: Api, running: dict[str, Any], verb: str) -> None:
    api.report(verb, running["id"], exit_code=0)
    assert api.get(f"/jobs/{running['id']}")["reason"] == "exited"


def test_every_measured_field_and_every_reason_is_in_the_api_page() -> None:
    rows = re.findall(r"^\|.*\|$", (ROOT / "docs/api.md").read_text(), re.MULTILINE)
    assert {*shown(), *Reason} <= set(re.findall(r"`(\w+)`", "".join(rows)))


def test_every_measured_field_has_a_test() -> None:
    assert reported().keys() == {*MEASURED, *(f"{name}_ms" for name in TIMES)}

"""The shortcuts for valid jobs and results: what they accept, the schemas accept with the same result; what is usual,
they accept.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobqueue.job import Reason
from jobqueue.output import OUTPUT_LIMIT_BYTES
from jobqueue.queue.records.reports import Verb
from jobqueue.web.schemas import shortcut
from jobqueue.web.schemas.batches import ReportIn
from jobqueue.web.schemas.fields import MAX_ARGUMENT_BYTES
from jobqueue.web.schemas.requests import Request
from jobqueue.web.schemas.submitters import NewJobIn
from tests.support.bad_values import BAD_RESULT
from tests.support.bench import SHA256
from tests.support.web import JOB, UNKNOWN_ID, UNUSUAL_JOB, Api

SCHEMA = NewJobIn()
ODD_TEXTS = [
    "",
    " ",
    "a b",
    "é",
    "日本",
    "a\x00",
    "\u200b",
    "\U0001f389",
    "\U000e0001",
    "=",
    "A=B",
    "a" * 128,
    "a" * 129,
]
ODD_VALUES = [None, True, False, 0, 1, -1, 0.5, 8.0, 1e300, 10**400, [], {}, [1], {"a": 1}, ["a"], {"a": "b"}]
HOSTS = ["h", "example.com", "127.0.0.1", "[::1]", "[::1", "u@h", "u:p@h", "", "é", "a b", "h\\", "-._~", "a%20b"]
PORTS = ["", ":", ":0", ":80", ":0080", ":00080", ":59999", ":65535", ":65536", ":70000", ":100000", ":x", ":80:80"]
PATHS = [
    "",
    "/",
    "/x",
    "/é",
    "/\U0001f389",
    "/\U000e0001",
    "?x",
    "#[@::",
    "/a b",
    "//",
    "\\",
    "/x".ljust(8200, "x"),
    "[",
    "/[]",
]

EDGES: dict[str, list[Any]] = {
    "type": ["a" * 128, "a" * 129, *ODD_TEXTS],
    "binary_url": [f"http://{host}{port}{path}" for host in HOSTS for port in PORTS for path in PATHS],
    "binary_sha256": [SHA256, SHA256.upper(), SHA256[1:], f"{SHA256}\n", "g" * 64, "٣" * 64],
    "priority": ["foreground", "background", "best_effort", "urgent", "Background"],
    "arguments": [[text] for text in ODD_TEXTS]
    + [[""] * 10_000, [""] * 10_001, ["a" * MAX_ARGUMENT_BYTES], ["a" * (MAX_ARGUMENT_BYTES + 1)], ["é" * 70_000]],
    "env_variables": [{text: "a"} for text in ODD_TEXTS] + [{"a": text} for text in ODD_TEXTS] + [{"a": "b" * 131_070}],
    "timeout_seconds": [315_360_000, 315_360_001, 2.0, 0.1],
}

texts = st.text(max_size=3) | st.sampled_from(ODD_TEXTS)
values = {
    "type": texts,
    "binary_url": st.builds("http://{}{}{}".format, st.sampled_from(HOSTS) | texts, st.sampled_from(PORTS), texts),
    "arguments": st.lists(texts, max_size=3),
    "env_variables": st.dictionaries(texts, texts, max_size=3),
    "timeout_seconds": st.floats() | st.integers(-1, 400_000_000),
}
changes = st.fixed_dictionaries({}, optional=values)


REPORT = {"id": UNKNOWN_ID, "attempt_token": "t", "outcome": "complete", "exit_code": 0}
MEASURED: dict[str, Any] = {
    "signal": "SIGKILL",
    "stdout_bytes": 5,
    "stderr_bytes": 0,
    "stdout_truncated": True,
    "stderr_truncated": False,
    "user_cpu_seconds": 0.25,
    "system_cpu_seconds": 2.0,
    "peak_memory_bytes": 2**53 - 1,
    "download_started_at_ms": 0,
    "program_started_at_ms": 1_790_000_000_000,
    "program_ended_at_ms": 253_402_300_799_999,
}
EDGES_OF_A_REPORT: dict[str, list[Any]] = {
    **BAD_RESULT,
    **{name: [value] for name, value in MEASURED.items()},
    "id": [UNKNOWN_ID.upper(), "a" * 128, "a" * 129],
    "attempt_token": ["a" * 128, "a" * 129],
    "outcome": ["complete", "fail", "release", "Complete"],
    "reason": [*Reason, "", "EXITED"],
    "exit_code": [2**31 - 1, 2**31, -(2**31), -(2**31) - 1],
    "stdout": ["x" * OUTPUT_LIMIT_BYTES, "ß" * OUTPUT_LIMIT_BYTES],
    "peak_memory_bytes": [2**53 - 1, 2**53],
    "program_ended_at_ms": [253_402_300_799_999, 253_402_300_800_000],
    "user_cpu_seconds": [1.7976931348623157e308, float("inf"), float("nan"), -0.0, 1],
    "error_message": ["it broke"],
    "executor_id": ["e"],
    "unknown": [1],
}


def compare_reports(data: dict[str, Any]) -> None:
    """Check that what the shortcut makes of a result, if anything, is what the schema makes of it."""
    report = shortcut.report(data)
    if report is not None:
        by_the_rules = ReportIn.SCHEMAS[report.verb].load(data)
        assert (report, repr(report)) == (by_the_rules, repr(by_the_rules))


@pytest.mark.parametrize("outcome", ["complete", "fail"])
@pytest.mark.parametrize("name", [*EDGES_OF_A_REPORT, *ReportIn.SCHEMAS[Verb.FAIL].fields])
def test_the_shortcut_for_results_is_not_wider_than_the_schema(name: str, outcome: str) -> None:
    for value in [*ODD_VALUES, *ODD_TEXTS, *EDGES_OF_A_REPORT.get(name, [])]:
        compare_reports({**REPORT, "outcome": outcome, name: value})
        compare_reports({**REPORT, **MEASURED, "outcome": outcome, name: value})


@pytest.mark.parametrize("missing", REPORT)
def test_the_shortcut_leaves_a_result_without_a_required_field_to_the_schema(missing: str) -> None:
    for data in ({**REPORT, missing: None}, {name: value for name, value in REPORT.items() if name != missing}):
        assert shortcut.report(data) is None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        MEASURED,
        {"reason": "exited", "stdout": "ä\n", "stderr": ""},
        {"outcome": "fail", "exit_code": None, "reason": "timeout", "error_message": "too long"},
        {"outcome": "fail", "exit_code": 137, "reason": None, "error_message": None, "stdout": None, "signal": None},
        {"id": UNKNOWN_ID.upper()},
    ],
    ids=ascii,
)
def test_the_shortcut_for_results_accepts_what_is_usual(changes: dict[str, Any]) -> None:
    report = shortcut.report({**REPORT, **changes})
    assert report == ReportIn.SCHEMAS[Verb(changes.get("outcome", "complete"))].load({**REPORT, **changes})


@pytest.mark.parametrize("data", [None, [], "complete", 1, {}, {**REPORT, "outcome": "release"}], ids=ascii)
def test_the_shortcut_leaves_all_but_completed_and_failed_attempts_to_the_schema(data: Any) -> None:
    assert shortcut.report(data) is None


def compare(data: dict[str, Any]) -> None:
    """Check that what the shortcut makes of an object, if anything, is what the schema makes of it."""
    job = shortcut.new_job(data)
    if job is not None:
        by_the_rules = Request.load(SCHEMA, data)  # past the shortcut
        assert (job, repr(job)) == (by_the_rules, repr(by_the_rules))  # in which 8 is not 8.0


@given(changes)
@settings(max_examples=200, deadline=None)
def test_the_schema_accepts_what_the_shortcut_accepts_with_the_same_result(changed: dict[str, Any]) -> None:
    compare({**JOB, **changed})


@pytest.mark.parametrize("name", [*EDGES, "unknown"])
def test_the_shortcut_is_not_wider_than_the_schema_at_the_edges_of_a_field(name: str) -> None:
    for value in [*ODD_VALUES, *ODD_TEXTS, *EDGES.get(name, [])]:
        compare({**JOB, name: value})


@pytest.mark.parametrize("missing", JOB)
def test_the_shortcut_leaves_a_job_without_a_required_field_to_the_schema(missing: str) -> None:
    for data in ({**JOB, missing: None}, {name: value for name, value in JOB.items() if name != missing}):
        assert shortcut.new_job(data) is None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"type": "größe:漢🎉"},
        {"binary_url": "HTTPS://user.example.com:8443/a/b.tar.gz?version=1#é"},
        *({"binary_url": f"http://127.0.0.1:{port}/program"} for port in (0, 9999, 10000, 59999, 65529, 65535)),
        {"binary_sha256": SHA256.upper()},
        {"arguments": ["--name", "é", "", "two words"], "env_variables": {"PATH": "/bin", "EMPTY": "", "Ü": "="}},
        {"arguments": None, "env_variables": None, "timeout_seconds": None},
        {"timeout_seconds": 8.0},
        {"timeout_seconds": 0.5},
    ],
    ids=ascii,
)
def test_the_shortcut_accepts_what_is_usual(changes: dict[str, Any]) -> None:
    assert shortcut.new_job({**JOB, **changes}) == Request.load(SCHEMA, {**JOB, **changes})


@pytest.mark.parametrize(("job", "takes_it"), [(JOB, True), (UNUSUAL_JOB, False)], ids=["usual", "unusual"])
def test_a_checksum_is_stored_in_lower_case_whoever_checks_the_job(
    api: Api, job: dict[str, Any], takes_it: bool
) -> None:
    capitals = {**job, "binary_sha256": SHA256.upper()}
    assert (shortcut.new_job(capitals) is not None) == takes_it
    assert api.get(f"/jobs/{api.submit(**capitals)}")["binary_sha256"] == SHA256


def test_the_jobs_of_a_bulk_keep_their_order_whoever_checks_them(api: Api) -> None:
    urls = ["http://h/0", "http://[::1]/1", "http://h/2", "http://u@h/3", "http://h/4"]
    rows = api.call("POST", "/jobs/bulk", [{**JOB, "binary_url": url} for url in urls]).get_json()
    assert [api.get(f"/jobs/{row['id']}")["binary_url"] for row in rows] == urls


def test_the_faults_of_a_bulk_are_named_by_index_whoever_checks_its_jobs(api: Api) -> None:
    jobs = [JOB, UNUSUAL_JOB, {**JOB, "type": ""}, JOB, UNUSUAL_JOB, {**JOB, "x": 1}]
    context = api.refused("POST", "/jobs/bulk", jobs)
    assert {index: list(faults) for index, faults in context.items()} == {"2": ["type"], "5": ["x"]}

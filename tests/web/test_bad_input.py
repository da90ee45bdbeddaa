"""Invalid bodies: each is refused with a 400 that names the invalid fields, and nothing is stored."""

from __future__ import annotations

from typing import Any

import pytest

from jobqueue.web.schemas.fields import OVERHEAD_BYTES
from tests.support.bench import SHA256
from tests.support.web import HOLDER, JOB, RESULT, UNKNOWN_ID, Api, each, name_of

MAX_ARGUMENT = 128 * 1024 - 1
BAD: dict[str, list[Any]] = {
    "type": [
        "", " ", "a b", "a\tb", "a\n", "a\u00a0b", "a\u2028b", "a\x00b", "a\x7fb", "a\x9fb", "a" * 129, None, 1, [],
    ],
    "binary_url": [
        "", "example.com/x", "/x", "ftp://h/x", "file:///etc/passwd", "http://", "http:///x", "https://?x", "http:h/x",
        "http://h/a b", "http://h/\n", "http://h/\x00", "http://h:0x1/", "http://h:65536/", "http://a b/",
        " http://h/x", "javascript:alert(1)", "http://user@/x", "http://[::1/x", "http://[:::]/", "http://[1.2.3.4]/",
        "http://[::1]x/", "http://[::ffff:1.2.3.4]/", "http://[::1%25eth0]/", "http://[1:2:3:4:5:6:7:8::]/",
        "http://[v1.a]/", "http://[12345::]/", "http://a@b@h/", "http://h:/", "http://h:00080/", "http://h\\/", "http://é/",
        "http://h/".ljust(8193, "x"), None, 1,
    ],
    "binary_sha256": [
        "", "ab" * 31, "ab" * 33, "g" + SHA256[1:], SHA256 + "\n", "٣" * 64, "0x" + SHA256[2:], None, 1,
    ],
    "priority": ["", "Background", "background ", "urgent", None, 0, ["background"]],
    "arguments": [
        "one", {}, [1], [None], [["one"]], ["a\x00b"], ["a" * (MAX_ARGUMENT + 1)],
        ["ß" * (MAX_ARGUMENT // 2 + 1)], ["a" * MAX_ARGUMENT] * 9, ["a" * 65536] * 16,
    ],
    "timeout_seconds": [0, 0.0, -1, -0.5, "60", "", True, False, [], {}, 315_360_001, 315_360_000.5, 1e300, 10**400],
    "env_variables": [
        [], "KEY=value", {"KEY": 1}, {"KEY": None}, {"KEY": ["a"]}, {"": "value"}, {"A=B": "value"},
        {"=": "value"}, {"A\x00B": "value"}, {"KEY": "a\x00b"}, {"KEY": "a" * MAX_ARGUMENT},
        {"K" * (MAX_ARGUMENT + 1): ""}, {str(number): "a" * 100_000 for number in range(11)},
    ],
}  # fmt: skip
BAD_EXECUTOR: dict[str, list[Any]] = {
    "executor_id": [
        "", " ", "a b", "a\n", "a\tb", "a\u00a0b", "a\u3000b", "a\x00", "\x1b[31m", "a\u200bb", "a\u202eb", "a" * 129,
        None, 1, ["a"],
    ],
    "executor_ip": [
        "", "localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4/8", ":::", "::g", "1.2.3.4\n",
        "[::1]", "2130706433", "٣.1.1.1", 2130706433, [],
    ],
}  # fmt: skip


@pytest.mark.parametrize(("field", "value"), each(BAD), ids=name_of)
def test_a_job_with_a_bad_value_is_refused_by_field(api: Api, field: str, value: Any) -> None:
    assert field in api.refused("POST", "/jobs", {**JOB, field: value})
    assert list(api.refused("POST", "/jobs/bulk", [JOB, {**JOB, field: value}, JOB])) == ["1"]


@pytest.mark.parametrize(("field", "value"), each(BAD_EXECUTOR), ids=name_of)
def test_a_claim_with_a_bad_value_is_refused_by_field(api: Api, field: str, value: Any) -> None:
    assert list(api.refused("POST", "/jobs/claim", {**HOLDER, field: value})) == [field]


@pytest.mark.parametrize(
    "job_ids", [None, "x", {}, [], [1], [None], [UNKNOWN_ID, "a" * 129], [UNKNOWN_ID] * 1001], ids=name_of
)
def test_a_bulk_cancel_with_bad_ids_is_refused(api: Api, job_ids: Any) -> None:
    assert list(api.refused("POST", "/jobs/bulk/cancel", {"job_ids": job_ids})) == ["job_ids"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("type", "a" * 128),
        ("type", "日" * 128),
        ("binary_url", "https://h/".ljust(8192, "x")),
        ("binary_url", "HTTP://h:65535"),
        ("arguments", ["a" * MAX_ARGUMENT]),
        ("arguments", ["ß" * (MAX_ARGUMENT // 2) + "a"]),
        ("arguments", ["a" * (65536 - OVERHEAD_BYTES)] * 16),
        ("arguments", [""] * 10_000),
        ("env_variables", {"KEY": "a" * (MAX_ARGUMENT - 4)}),
        ("env_variables", {"K" * (MAX_ARGUMENT - 1): ""}),
    ],
    ids=name_of,
)
def test_a_value_of_exactly_the_greatest_length_is_accepted(api: Api, field: str, value: Any) -> None:
    assert api.get(f"/jobs/{api.submit(**{field: value})}")[field] == value


@pytest.mark.parametrize(
    "url",
    [
        "HTTPS://h",
        "http://[::]:0",
        "http://[1:2:3:4:5:6:7::]/",
        "http://a:b%20@h:0080?x",
        "http://h#[@::",
        "http://-._~",
    ],
)
def test_a_binary_url_with_any_valid_host_port_and_path_is_accepted(api: Api, url: str) -> None:
    assert api.get(f"/jobs/{api.submit(binary_url=url)}")["binary_url"] == url


@pytest.mark.parametrize("executor_id", ["a" * 128, "日" * 128, "a:b{c}/d%00*?"])
def test_an_executor_may_have_any_printable_name(api: Api, executor_id: str) -> None:
    job_id = api.submit()
    assert api.claim(executor_id)["executor_id"] == executor_id
    assert api.report("complete", job_id, executor_id).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "missing"),
    [
        ("POST", "/jobs", {"type", "binary_url", "binary_sha256", "priority"}),
        ("POST", "/jobs/bulk/cancel", {"job_ids"}),
        ("POST", "/jobs/claim", {"executor_id"}),
        ("PUT", f"/jobs/{UNKNOWN_ID}/heartbeat", {"executor_id"}),
        ("PUT", f"/jobs/{UNKNOWN_ID}/complete", {"executor_id", "exit_code"}),
        ("PUT", f"/jobs/{UNKNOWN_ID}/fail", {"executor_id"}),
        ("POST", f"/jobs/{UNKNOWN_ID}/release", {"executor_id"}),
    ],
)
def test_every_missing_field_is_named(api: Api, method: str, path: str, missing: set[str]) -> None:
    assert set(api.refused(method, path, {})) == missing


UNKNOWN = [
    "priorty",
    "Type",
    "type ",
    "id",
    "status",
    "",
    "context",
    "error",
    "code",
    "name",
    "message",
    "self",
    "args",
]


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/jobs", JOB),
        ("POST", "/jobs/bulk/cancel", {"job_ids": [UNKNOWN_ID]}),
        ("POST", "/jobs/claim", HOLDER),
        ("PUT", f"/jobs/{UNKNOWN_ID}/heartbeat", HOLDER),
        ("PUT", f"/jobs/{UNKNOWN_ID}/fail", RESULT),
        ("POST", f"/jobs/{UNKNOWN_ID}/release", HOLDER),
    ],
)
def test_an_unknown_field_is_named(api: Api, method: str, path: str, body: dict[str, Any], name: str) -> None:
    assert api.refused(method, path, {**body, name: "x"}).keys() == {name}


def test_a_400_lists_every_invalid_field(api: Api) -> None:
    body: dict[str, Any] = {field: values[0] for field, values in BAD.items()}
    context = api.refused("POST", "/jobs", {**body, "extra": 1})
    assert set(context) == {*BAD, "extra"}
    bulk = [JOB, body, JOB, {**JOB, "type": "a b", "extra": 1}, 5]
    context = api.refused("POST", "/jobs/bulk", bulk)
    assert {index: set(faults) for index, faults in context.items()} == {
        "1": set(BAD),
        "3": {"type", "extra"},
        "4": {"body"},
    }


@pytest.mark.parametrize(
    "too_large",
    [{"env_variables": {"KEY": "a" * MAX_ARGUMENT}}, {"arguments": ["a" * MAX_ARGUMENT] * 9}],
    ids=["NAME=value", "all together"],
)
def test_a_400_lists_fields_that_are_too_large_beside_other_invalid_ones(api: Api, too_large: dict[str, Any]) -> None:
    assert {"type", *too_large} <= set(api.refused("POST", "/jobs", {**JOB, "type": "a b", **too_large}))


@pytest.mark.parametrize(
    "faults",
    [
        {"arguments": [1] * 10_000},
        {"arguments": [1] * 2_000_000},
        {"env_variables": {str(number): 1 for number in range(10_000)}},
        {"env_variables": {str(number): "" for number in range(10_001)}},
        {str(number): 1 for number in range(100_000)},
        {"a" * 7_000_000: 1},
    ],
    ids=["arguments", "millions", "variables", "many variables", "unknown fields", "long name"],
)
def test_the_answer_to_a_body_with_millions_of_invalid_entries_is_short(api: Api, faults: dict[str, Any]) -> None:
    """Without limits, 13 MB of invalid entries took minutes and were answered with 230 MB."""
    response = api.call("POST", "/jobs", {**JOB, **faults})
    assert response.status_code == 400
    assert len(response.data) < 100_000


def test_the_arguments_of_a_bulk_are_counted_before_they_are_checked(api: Api) -> None:
    jobs = [{**JOB, "arguments": [""] * 10_000}] * 11
    assert "110000" in str(api.refused("POST", "/jobs/bulk", jobs)["body"])


def test_a_400_names_the_invalid_entries_of_an_object_or_list(api: Api) -> None:
    body = {**JOB, "arguments": ["fine", "a\x00"], "env_variables": {"FINE": "", "message": "\x00", "A=B": ""}}
    context = api.refused("POST", "/jobs", body)
    assert {field: set(faults) for field, faults in context.items()} == {
        "arguments": {"1"},
        "env_variables": {"message", "A=B"},
    }


@pytest.mark.parametrize("count", [0, 10_001])
def test_a_bulk_with_too_few_or_too_many_jobs_is_refused(api: Api, count: int) -> None:
    context = api.refused("POST", "/jobs/bulk", [JOB] * count)
    assert list(context) == ["body"]
    assert f"10000 jobs, not {count}" in str(context)


def test_one_invalid_job_of_a_bulk_refuses_all_of_them(api: Api) -> None:
    context = api.refused("POST", "/jobs/bulk", [*[JOB] * 9999, {**JOB, "priority": "urgent"}])
    assert list(context) == ["9999"]
    assert list(context["9999"]) == ["priority"]

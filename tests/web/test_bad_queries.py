"""Invalid query strings: no value is silently corrected or ignored."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.support.web import UNKNOWN_ID, Api

NO_NUMBERS = [
    "", " ", "a", "1e3", "+5", "-1", "-0", "1_0", "١٢", "²", "५", "½", "1.0", "1,5", "0x10", " 5", "5 ", "5\n", "5\x00",
    "null", "true", "[]", "NaN", "Infinity", "1e999", "--1", "9" * 23, "9" * 5000,
]  # fmt: skip
BAD = {
    "limit": [*NO_NUMBERS, "0", "00", "1001", "9007199254740993", str(2**63)],
    "offset": [*NO_NUMBERS, str(2**53), str(2**63 - 1), str(2**63), str(2**64)],
    "cursor": [*NO_NUMBERS[1:], "9" * 16],
    "status": ["", "PENDING", "pending ", "done", "pending,running", "lost", "pending\x00", "%"],
    "priority": ["", "Background", "urgent", "best-effort", "background\n", "foreground background"],
    "type": [""],
    "limits": ["1"],
    "Limit": ["1"],
    "sort": ["asc"],
    "message": ["1"],
    "self": ["1"],
    "": ["1"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values], ids=lambda v: ascii(v)[:30]
)
def test_a_bad_parameter_is_refused_by_name(api: Api, name: str, value: str) -> None:
    response = api.call("GET", f"/jobs?{quote(name)}={quote(value)}")
    assert response.status_code == 400, response.text
    assert list(response.get_json()["context"]) == [name]
    assert api.bench.client.dbsize() == 0


@pytest.mark.parametrize("query", ["status=pending&status=running", "status=pending&limit=5&status=pending"])
@pytest.mark.parametrize("path", ["/jobs", "/admin/executors", f"/jobs/{UNKNOWN_ID}/output"])
def test_a_parameter_that_comes_twice_is_refused_by_name(api: Api, path: str, query: str) -> None:
    response = api.call("GET", f"{path}?{query}")
    assert (response.status_code, list(response.get_json()["context"])) == (400, ["status"])


@pytest.mark.parametrize("query", ["cursor=&offset=0", "cursor=5&offset=1"])
def test_a_page_has_one_beginning(api: Api, query: str) -> None:
    response = api.call("GET", f"/jobs?{query}")
    assert (response.status_code, list(response.get_json()["context"])) == (400, ["cursor"])


@pytest.mark.parametrize(
    "value", ["", "True", "TRUE", "1", "0", "yes", "on", "t", "truefalse", "true ", "true\n", "null"]
)
def test_force_is_true_or_false_and_nothing_else(api: Api, value: str) -> None:
    response = api.call("DELETE", f"/jobs/{UNKNOWN_ID}?force={quote(value)}")
    assert (response.status_code, list(response.get_json()["context"])) == (400, ["force"])


BAD_OUTPUT = {"offset": [*NO_NUMBERS, str(2**53)], "stream": ["", "STDOUT", "stdin", "stdout,stderr"], "limit": ["1"]}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in BAD_OUTPUT.items() for value in values],
    ids=lambda v: ascii(v)[:30],
)
def test_a_bad_parameter_of_an_output_is_refused_by_name(api: Api, name: str, value: str) -> None:
    response = api.call("GET", f"/jobs/{UNKNOWN_ID}/output?{name}={quote(value)}")
    assert (response.status_code, list(response.get_json()["context"])) == (400, [name])


def test_an_unknown_parameter_of_a_cancel_is_refused_by_name(api: Api) -> None:
    job_id = api.submit()
    response = api.call("DELETE", f"/jobs/{job_id}?forced=true")
    assert (response.status_code, list(response.get_json()["context"])) == (400, ["forced"])
    assert api.get(f"/jobs/{job_id}")["status"] == "pending"


def test_a_400_lists_every_invalid_parameter(api: Api) -> None:
    response = api.call("GET", "/jobs?limit=0&offset=-1&status=done&priority=urgent&sort=asc&type=fine")
    assert response.status_code == 400
    assert set(response.get_json()["context"]) == {"limit", "offset", "status", "priority", "sort"}


@pytest.mark.parametrize(
    "type_", ["none", "a b", "*", "{jobqueue}", "\x00", "\r\nX-Injected: yes", "%ff", "🎉", "x" * 5000, "' OR 1=1", ":"]
)
def test_a_filter_by_a_type_that_no_job_has_lists_nothing(api: Api, type_: str) -> None:
    api.submit()
    response = api.call("GET", f"/jobs?type={quote(type_)}&limit=1")
    assert response.status_code == 200
    assert response.get_json() == []
    assert response.headers["X-Total-Count"] == "0"
    assert "X-Injected" not in response.headers


@pytest.mark.parametrize("raw", ["%ff", "%", "%zz", "%00", "%ed%a0%80", "&&", "a&b", "?"])
def test_a_query_string_with_malformed_escapes_does_not_crash(api: Api, raw: str) -> None:
    assert api.call("GET", f"/jobs?type={raw}").status_code in {200, 400}

"""Invalid reports of executors: each is refused with a 400 that names the invalid field, and nothing is stored."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.bad_values import BAD_RESULT
from tests.support.web import HOLDER, RESULT, UNKNOWN_ID, Api, each, name_of

BAD_OUTPUT: list[Any] = [
    "text", [], 1, True, {"stdin": {"offset": 0, "data": ""}}, {"stdout": "text"}, {"stdout": {}},
    {"stdout": {"data": "x"}}, {"stderr": {"offset": 0}}, {"stderr": {"offset": 0, "data": "x", "more": 1}},
    {"stdout": {"offset": 0, "data": "a" * (1024 * 1024 + 1)}},
    {"stdout": {"offset": 0, "data": "ß" * (512 * 1024 + 1)}},
    *({"stdout": {"offset": offset, "data": "x"}} for offset in [-1, 0.5, "0", True, None, 2**53, 1e300, 10**40]),
    {"stderr": {"offset": 0, "data": None}}, {"stderr": {"offset": 0, "data": 1}},
    {"stderr": {"offset": 0, "data": {}}},
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), each({**BAD_RESULT, "executor_id": ["a b", None]}), ids=name_of)
@pytest.mark.parametrize("verb", ["complete", "fail"])
def test_a_result_with_a_bad_value_is_refused_by_field(api: Api, verb: str, field: str, value: Any) -> None:
    assert list(api.refused("PUT", f"/jobs/{UNKNOWN_ID}/{verb}", {**RESULT, field: value})) == [field]


@pytest.mark.parametrize("output", BAD_OUTPUT, ids=name_of)
def test_a_heartbeat_with_bad_output_is_refused_by_field(api: Api, output: Any) -> None:
    assert list(api.refused("PUT", f"/jobs/{UNKNOWN_ID}/heartbeat", {**HOLDER, "output": output})) == ["output"]


@pytest.mark.parametrize(
    ("field", "value"), each({"reason": BAD_RESULT["reason"], "executor_id": ["a b"]}), ids=name_of
)
def test_a_release_with_a_bad_value_is_refused_by_field(api: Api, field: str, value: Any) -> None:
    assert list(api.refused("POST", f"/jobs/{UNKNOWN_ID}/release", {**HOLDER, field: value})) == [field]

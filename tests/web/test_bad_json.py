"""Bodies that are not JSON, that two readers may read differently, or that cannot be stored."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.support.web import HOLDER, JOB, UNKNOWN_ID, Api

ROUTES: list[tuple[str, str, Any]] = [
    ("POST", "/jobs", JOB),
    ("POST", "/jobs/bulk", [JOB]),
    ("POST", "/jobs/bulk/cancel", {"job_ids": [UNKNOWN_ID]}),
    ("POST", "/jobs/claim", HOLDER),
    ("PUT", f"/jobs/{UNKNOWN_ID}/heartbeat", HOLDER),
    ("PUT", f"/jobs/{UNKNOWN_ID}/complete", {**HOLDER, "exit_code": 0}),
    ("PUT", f"/jobs/{UNKNOWN_ID}/fail", HOLDER),
    ("POST", f"/jobs/{UNKNOWN_ID}/release", HOLDER),
]
TEXT = json.dumps(JOB)
NO_JSON = {
    "empty": b"",
    "white space": b" \n",
    "cut": TEXT[:-1].encode(),
    "more after the end": TEXT.encode() + b"{}",
    "NUL after the end": TEXT.encode() + b"\x00",
    "no quotes": b"{type: demo}",
    "single quotes": b"{'type': 'demo'}",
    "comma at the end": TEXT.encode().replace(b"}", b",}"),
    "comment": b"/* */" + TEXT.encode(),
    "form": b"type=demo&priority=background",
    "word": b"nonsense",
    "True": b"True",
    "raw line break in a string": b'{"type": "a\nb"}',
    "bad escape": rb'{"type": "\x41"}',
    "NaN": b'{"type": NaN}',
    "Infinity": b'{"exit_code": Infinity}',
    "-Infinity": b"[-Infinity]",
    "NaN alone": b"NaN",
    "leading zero": b'{"exit_code": 01}',
    "hexadecimal": b'{"exit_code": 0x1}',
    "5,000 digits": b'{"exit_code": ' + b"9" * 5000 + b"}",
    "5,000 digits deep inside": b'{"arguments": [[' + b"9" * 5000 + b"]]}",
    "200,000 digits": b"9" * 200_000,
    "many lists": b"[" * 100_000,
    "many closed lists": b"[" * 100_000 + b"]" * 100_000,
    "many objects": b'{"a":' * 20_000,
    "many lists in a field": b'{"type":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a name twice": b'{"type": "a", "type": "a"}',
    "a name twice deep inside": b'{"env_variables": {"A": "1", "A": "2"}}',
    "a name twice in an unknown field": b'{"x": [{"a": {"b": 1, "\\u0062": 2}}]}',
    "UTF-8 with BOM": b"\xef\xbb\xbf" + TEXT.encode(),
    "UTF-16": TEXT.encode("utf-16"),
    "UTF-16 LE": TEXT.encode("utf-16-le"),
    "UTF-16 BE": TEXT.encode("utf-16-be"),
    "UTF-32": TEXT.encode("utf-32"),
    "Latin-1": b'{"type": "\xe9"}',
    "overlong UTF-8": b'{"type": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"type": "\xed\xa0\x80"}',
    "cut UTF-8": b'{"type": "\xe2\x82"}',
    "gzip": gzip.compress(TEXT.encode()),
    "half a pair": rb'{"type": "\ud800"}',
    "half a pair in capitals": rb'{"type": "\uDFFF"}',
    "half a pair in a list": rb'{"arguments": ["a\udc00"]}',
    "half a pair in an object": rb'{"env_variables": {"A": "\udfff"}}',
    "half a pair in a name": rb'{"env_variables": {"\ud8ff": "a"}}',
    "half a pair in an unknown field": rb'{"\ud800": 1}',
    "half a pair in an output": rb'{"executor_id": "a", "exit_code": 0, "stdout": "\udbff"}',
    "a pair the wrong way round": rb'{"type": "\udc00\ud800"}',
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
def test_a_body_that_is_not_strict_json_is_refused_by_every_route(api: Api, body: bytes) -> None:
    for method, path, _ in ROUTES:
        context = api.refused(method, path, body)
        assert list(context) == ["body"]
        assert "sys." not in str(context)  # what Python advises its programmers to do


@pytest.mark.parametrize(
    ("body", "said"), [(b"", "The body is empty."), (b" \n", "The body is empty."), (b"[]", "Must be an object.")]
)
def test_a_body_that_cannot_be_a_job_is_refused_in_words_that_say_why(api: Api, body: bytes, said: str) -> None:
    assert api.refused("POST", "/jobs", body) == {"body": [said]}


@pytest.mark.parametrize(("method", "path", "right"), ROUTES)
@pytest.mark.parametrize("body", [b"null", b"true", b"false", b"0", b"1.5", b'"text"', b"[]", b"{}", b'["a"]'])
def test_a_body_of_another_type_than_the_documented_one_is_refused(
    api: Api, method: str, path: str, right: Any, body: bytes
) -> None:
    context = api.refused(method, path, body)
    documented = isinstance(right, type(json.loads(body)))
    assert context if documented else list(context) == ["body"]


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"9" * 4000, b"-" + b"9" * 4300, b"0.1", b"2147483648.0"])
@pytest.mark.parametrize("verb", ["complete", "fail"])
def test_a_number_out_of_all_bounds_is_refused_by_field(api: Api, verb: str, number: bytes) -> None:
    body = b'{"executor_id": "worker-1", "exit_code": ' + number + b"}"
    assert list(api.refused("PUT", f"/jobs/{UNKNOWN_ID}/{verb}", body)) == ["exit_code"]


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"9" * 4000, b"-" + b"9" * 4300, b"-0", b"0e5"])
def test_a_time_limit_out_of_all_bounds_is_refused_by_field(api: Api, number: bytes) -> None:
    body = json.dumps({**JOB, "timeout_seconds": "N"}).encode().replace(b'"N"', number)
    assert list(api.refused("POST", "/jobs", body)) == ["timeout_seconds"]


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"9" * 4000])
@pytest.mark.parametrize("field", [b"user_cpu_seconds", b"stdout_bytes", b"program_ended_at_ms"])
def test_a_measure_out_of_all_bounds_is_refused_by_field(api: Api, field: bytes, number: bytes) -> None:
    body = b'{"executor_id": "worker-1", "' + field + b'": ' + number + b"}"
    assert list(api.refused("PUT", f"/jobs/{UNKNOWN_ID}/fail", body)) == [field.decode()]


@pytest.mark.parametrize("value", [b"1e999", b"9" * 4000, b"[1e999]", b'{"a": 1e999}'])
@pytest.mark.parametrize("field", ["type", "arguments", "env_variables", "priority"])
def test_a_number_in_place_of_a_text_is_refused_by_field(api: Api, field: str, value: bytes) -> None:
    body = json.dumps({**JOB, field: 0}).encode().replace(b": 0", b": " + value)
    assert list(api.refused("POST", "/jobs", body)) == [field]


@pytest.mark.parametrize("depth", [10, 200, 700, 1000])
def test_a_nested_value_of_any_depth_is_refused(api: Api, depth: int) -> None:
    nested = b'{"a":' * depth + b"1" + b"}" * depth
    for field in (b"type", b"arguments", b"env_variables", b"unknown"):
        assert set(api.refused("POST", "/jobs", b'{"' + field + b'": ' + nested + b"}")) & {field.decode(), "body"}


def test_a_surrogate_pair_is_read_as_one_character(api: Api) -> None:
    body = json.dumps({**JOB, "arguments": ["🎉"]}).encode()
    assert rb"\ud83c\udf89" in body
    assert api.call("POST", "/jobs", data=body, content_type="application/json").status_code == 201
    assert api.claim()["arguments"] == ["🎉"]

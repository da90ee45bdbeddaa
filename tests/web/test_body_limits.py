"""The limits of request bodies: bytes and entries by route, encodings, and the greatest bodies that are documented."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest

from jobqueue.errors import InvalidRequest
from jobqueue.web.bodies import limits
from jobqueue.web.bodies.limits import KIB, MIB, Limit
from jobqueue.web.bodies.strict_json import check_entries
from tests.support.web import JOB, UNKNOWN_ID, Api

ROUTES: list[tuple[str, str, Limit, int]] = [
    ("POST", "/jobs", limits.JOB, 7 * MIB),
    ("POST", "/jobs/bulk", limits.JOBS, 13 * MIB),
    ("POST", "/jobs/bulk/cancel", limits.JOB_IDS, 2 * MIB),
    ("POST", "/jobs/claim", limits.SMALL, 256 * KIB),
    ("POST", "/jobs/bulk/heartbeat", limits.BEATS, 13 * MIB),
    ("POST", "/jobs/bulk/finish", limits.REPORTS, 13 * MIB),
    ("PUT", f"/jobs/{UNKNOWN_ID}/heartbeat", limits.REPORT, 13 * MIB),
    ("PUT", f"/jobs/{UNKNOWN_ID}/complete", limits.REPORT, 13 * MIB),
    ("PUT", f"/jobs/{UNKNOWN_ID}/fail", limits.REPORT, 13 * MIB),
    ("POST", f"/jobs/{UNKNOWN_ID}/release", limits.SMALL, 256 * KIB),
]
SENT = {"content_type": "application/json"}
HOSTILE = {
    "objects": b'{"":0},',
    "arrays": b"[],",
    "nested arrays": b"[",
    "nested objects": b'{"":',
    "numbers": b"1,",
    "texts": b'"",',
    "commas": b",",
    "escaped quotation marks": rb'"\"",',
    "backslashes before a quotation mark": rb'"\\",',
}
NASTY = ['"', "\\", '\\"', "[", "{", ",", "{,[", "\\\\", 'a","b', "é", "\U0001f389", "\n", ""]


@pytest.mark.parametrize(("method", "path", "limit", "size"), ROUTES)
def test_a_body_may_have_as_many_bytes_as_its_route_allows_and_no_more(
    api: Api, method: str, path: str, limit: Limit, size: int
) -> None:
    assert limit.bytes == size
    for more, is_too_large in ((0, False), (1, True)):
        response = api.call(method, path, data=b"[{}]".ljust(size + more), **SENT)
        assert response.status_code == (413 if is_too_large else 400)
    error = response.get_json()
    assert error["context"] == {}
    assert f"at most {limit.text} " in error["error"]


def test_the_document_has_the_limit_of_every_body(api: Api) -> None:
    paths = api.get("/openapi.json")["paths"]
    documented = {
        (method.upper(), path.removeprefix("/api/v1")): operation["responses"]["413"]["description"]
        for path, item in paths.items()
        for method, operation in item.items()
        if method != "parameters" and "requestBody" in operation
    }
    routes = {(method, path.replace(UNKNOWN_ID, "{job_id}")): f"({limit.bytes} " for method, path, limit, _ in ROUTES}
    assert documented.keys() == routes.keys()
    assert all(size in documented[route] for route, size in routes.items())


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("route", ROUTES)
def test_a_body_of_very_many_values_is_refused_unparsed(
    api: Api, route: tuple[str, str, Limit, int], hostile: bytes
) -> None:
    method, path, limit, size = route
    body = b"[" + hostile * ((min(size, 2 * MIB) - 10) // len(hostile)) + b"0]"
    (message,) = api.refused(method, path, body)["body"]
    assert f"at most {limit.entries} " in message


def entries_of(value: Any) -> int:
    """Return how many arrays, objects and commas a value has as JSON."""
    inner = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else None
    return 0 if inner is None else 1 + max(len(inner) - 1, 0) + sum(map(entries_of, inner))


def some_value(dice: random.Random, depth: int) -> Any:
    """Return a random value whose texts look like JSON."""
    kind = dice.randrange(4 if depth else 2)
    text = "".join(dice.choices(NASTY, k=dice.randrange(4)))
    inner = [some_value(dice, depth - 1) for _ in range(dice.randrange(4))] if kind > 1 else []
    names = [f"{text}{number}" for number in range(len(inner))]
    values: list[Any] = [dice.choice([1, -0.5, None, True]), text, inner, dict(zip(names, inner, strict=True))]
    return values[kind]


def test_the_entries_of_a_body_are_counted_outside_its_texts() -> None:
    dice = random.Random(7)
    for _ in range(3000):
        value = some_value(dice, 4)
        body = json.dumps(value, ensure_ascii=dice.random() < 0.5).encode()
        entries = entries_of(value)
        check_entries(body, entries)
        if entries:
            with pytest.raises(InvalidRequest):
                check_entries(body, entries - 1)


@pytest.mark.parametrize("odd", [b'"', b"\\", b'\\"', b"\\\\", b"\n", b"}", b"x"])
def test_a_body_that_becomes_invalid_is_counted_up_to_there_at_least(odd: bytes) -> None:
    with pytest.raises(InvalidRequest):
        check_entries(b'[{"a":"\\\\"},' * 1000 + odd + b'"' * 100, 1999)


def test_a_body_that_looks_like_very_many_values_may_be_one_text(api: Api) -> None:
    job_id = api.submit()
    api.claim()
    text = '[{"":0},"\\",\\\\"]' * 50_000
    assert api.report("complete", job_id, stdout=text, stderr=text).status_code == 200
    job = api.get(f"/jobs/{job_id}")
    assert job["stdout"] == text
    assert job["stderr"] == text


def test_the_greatest_documented_job_is_accepted_however_it_is_escaped(api: Api) -> None:
    overhead = 10_000 * 2 * 9
    names = [f"{number:05}" for number in range(10_000)]
    free = 1024 * 1024 - overhead - sum(len(name) + 1 for name in names)
    job = {
        **JOB,
        "type": "\U0001f389" * 128,
        "binary_url": "https://h/".ljust(8192, "x"),
        "arguments": ["\x01" * (free // 10_000)] * 10_000,
        "env_variables": dict.fromkeys(names, ""),
        "timeout_seconds": 0.5,
    }
    body = json.dumps(job, indent=4).replace("x", "\\u0078").encode()
    assert len(body) > 5_000_000
    response = api.call("POST", "/jobs", data=body, **SENT)
    assert response.status_code == 201
    assert api.get(f"/jobs/{response.get_json()['id']}")["arguments"] == job["arguments"]


def test_the_greatest_documented_bulk_is_accepted(api: Api) -> None:
    job = {**JOB, "arguments": ["a"] * 9, "env_variables": {"A": ""}, "timeout_seconds": 1}
    response = api.call("POST", "/jobs/bulk", [job] * 10_000)
    assert response.status_code == 201
    assert len(response.get_json()) == 10_000


def test_the_greatest_documented_bulk_cancel_is_accepted(api: Api) -> None:
    body = json.dumps({"job_ids": ["\U0001f389" * 128] * 1000}).encode()
    assert len(body) > 1_500_000
    response = api.call("POST", "/jobs/bulk/cancel", data=body, **SENT)
    assert response.status_code == 200
    assert response.get_json()["failed"] == 1000


@pytest.mark.parametrize("url", ["https://h/".ljust(8192, "x"), "https://h/?".ljust(8192, "é")])
def test_a_url_of_the_greatest_length_is_accepted(api: Api, url: str) -> None:
    assert api.get(f"/jobs/{api.submit(binary_url=url)}")["binary_url"] == url
    assert list(api.call("POST", "/jobs", {**JOB, "binary_url": url + "x"}).get_json()["context"]) == ["binary_url"]


def test_very_many_unknown_fields_are_not_all_reported(api: Api) -> None:
    unknown = {f"field{number}": None for number in range(24_000)}
    started = time.process_time()
    context = api.refused("POST", "/jobs", {**unknown, **JOB, "priority": "urgent"})
    assert time.process_time() - started < 2
    assert set(context) == {"priority", *(f"field{number}" for number in range(20))}
    bulk = api.refused("POST", "/jobs/bulk", [{**JOB, **{f"field{number}": 0 for number in range(100)}}] * 1000)
    assert {len(invalid) for invalid in bulk.values()} == {20}


@pytest.mark.parametrize(
    "encoding", ["br", "deflate", "DEFLATE", "gzip, gzip", "gzip, br", "aes128gcm", "x" * 1000, "gzip;q=1"]
)
@pytest.mark.parametrize("route", ROUTES)
def test_a_content_encoding_is_refused_by_name(api: Api, route: tuple[str, str, Limit, int], encoding: str) -> None:
    method, path, _, _ = route
    response = api.call(method, path, data=b"{}", headers={"Content-Encoding": encoding}, **SENT)
    assert response.status_code == 415
    assert response.headers["Accept-Encoding"] == "gzip, identity"
    assert "Content-Encoding" in response.get_json()["error"]
    assert response.get_json()["context"] == {}


@pytest.mark.parametrize("encoding", ["identity", "Identity", "", "identity, identity"])
def test_a_body_may_say_that_it_is_not_encoded(api: Api, encoding: str) -> None:
    response = api.call("POST", "/jobs", JOB, headers={"Content-Encoding": encoding})
    assert response.status_code == 201


def test_a_content_type_that_is_refused_is_named(api: Api) -> None:
    response = api.call("POST", "/jobs", data=b"{}", content_type="text/plain")
    assert response.status_code == 415
    assert "Content-Type" in response.get_json()["error"]
    assert "Accept-Encoding" not in response.headers


def test_live_output_may_look_like_very_many_values(api: Api) -> None:
    job_id = api.submit()
    token = api.claim()["attempt_token"]
    live = {"stdout": {"offset": 0, "data": "[" * 1_000_000}, "stderr": {"offset": 0, "data": ",," * 500_000}}
    assert api.report("heartbeat", job_id, attempt_token=token, output=live).status_code == 200

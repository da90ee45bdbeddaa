r"""The header `Idempotency-Key`: a request that is sent again is answered as the first time."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.support.web import JOB, Api

BULK = [JOB, {**JOB, "type": "other"}]


def submit(api: Api, key: str, body: Any = JOB, path: str = "/jobs") -> TestResponse:
    """Submit with a key; return the answer."""
    return api.call("POST", path, body, headers={"Idempotency-Key": key})


@pytest.mark.parametrize(("path", "body"), [("/jobs", JOB), ("/jobs/bulk", BULK), ("/jobs/bulk", BULK * 60)])
def test_the_same_request_with_the_same_key_gets_the_first_answer_again(api: Api, path: str, body: Any) -> None:
    first = submit(api, "k", body, path)
    api.bench.clock.advance(5000)
    again = submit(api, "k", body, path)
    assert "Idempotent-Replay" not in first.headers
    assert again.headers["Idempotent-Replay"] == "true"
    assert (again.status_code, again.data) == (201, first.data)
    assert again.headers.get("Location") == first.headers.get("Location")
    assert len(api.get("/jobs?limit=1000")) == (1 if body is JOB else len(body))


@pytest.mark.parametrize("again", ['"a,b"', "a,b"])
def test_a_key_is_the_same_bare_and_quoted(api: Api, again: str) -> None:
    submit(api, "a,b")
    assert submit(api, again).headers["Idempotent-Replay"] == "true"


def test_a_quoted_key_may_hold_what_is_escaped(api: Api) -> None:
    submit(api, r'a"b\c')
    assert submit(api, r'"a\"b\\c"').headers["Idempotent-Replay"] == "true"


@pytest.mark.parametrize(
    "key",
    ["!", "~" * 255, f'"{"~" * 255}"', r'"\""', "a%20b", "a;b=c", "é".encode("ascii", "xmlcharrefreplace").decode()],
)
def test_a_key_may_have_any_visible_ascii_characters(api: Api, key: str) -> None:
    assert submit(api, key).status_code == 201
    assert submit(api, key).headers["Idempotent-Replay"] == "true"


@pytest.mark.parametrize(
    "key",
    [
        "",
        " ",
        '""',
        '"',
        '"a',
        '"a"b',
        '"a"b"',
        '"a\\',
        r'"\a"',
        "a b",
        '"a b"',
        "a\tb",
        "\x7f",
        "é",
        "~" * 256,
        f'"{"~" * 256}"',
        '"a";b=c',
    ],
)
@pytest.mark.parametrize(("path", "body"), [("/jobs", JOB), ("/jobs/bulk", BULK)])
def test_a_malformed_key_is_refused_and_nothing_is_stored(api: Api, path: str, body: Any, key: str) -> None:
    response = submit(api, key, body, path)
    assert response.status_code == 400
    assert response.get_json()["context"] == {"code": "invalid_idempotency_key"}
    assert api.bench.client.dbsize() == 0


@pytest.mark.parametrize(
    ("path", "body", "other"), [("/jobs", JOB, {**JOB, "type": "other"}), ("/jobs/bulk", BULK, BULK[:1])]
)
def test_another_body_with_the_same_key_is_refused(api: Api, path: str, body: Any, other: Any) -> None:
    first = submit(api, "k", body, path)
    response = submit(api, "k", other, path)
    assert response.status_code == 422
    assert response.get_json()["context"] == {"code": "idempotency_key_reused"}
    assert submit(api, "k", body, path).data == first.data


def test_a_body_that_says_the_same_otherwise_is_the_same(api: Api) -> None:
    first = submit(api, "k", {**JOB, "env_variables": {"A": "1", "B": "2"}})
    other = {"env_variables": {"B": "2", "A": "1"}, "timeout_seconds": None, **dict(reversed(JOB.items()))}
    assert submit(api, "k", other).data == first.data


def test_the_key_of_one_route_says_nothing_about_another(api: Api) -> None:
    assert "Idempotent-Replay" not in submit(api, "k").headers
    assert "Idempotent-Replay" not in submit(api, "k", [JOB], "/jobs/bulk").headers
    assert len(api.get("/jobs")) == 2


def test_a_refused_request_leaves_its_key_free(api: Api) -> None:
    assert submit(api, "k", {**JOB, "type": ""}).status_code == 400
    assert submit(api, "k").status_code == 201

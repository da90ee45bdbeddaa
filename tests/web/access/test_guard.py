"""The check of a token: which headers pass, what the others are answered, and what has not happened by then."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from jobqueue.access.keyring import Keyring
from jobqueue.access.scopes import Scope
from jobqueue.access.tokens import digest_of
from jobqueue.web.access.policy import Access
from tests.support.bench import Bench
from tests.support.tokens import NOT_CONFIGURED, bearer, line, lines, one_for_each_scope, token
from tests.support.web import JOB, UNKNOWN_ID, Api


@pytest.fixture
def guarded(api: Api) -> Api:
    """The app with a token for each scope, on an emptied store."""
    return Api(Bench(api.bench.client), Access(one_for_each_scope()))


def refusal(api: Api, headers: Any, method: str = "GET", path: str = "/jobs") -> tuple[int, str]:
    """Return the status and the text of the answer to a request with these headers."""
    response = api.call(method, path, headers=headers)
    return response.status_code, response.get_json()["error"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_case_of_the_scheme_does_not_matter(guarded: Api, scheme: str) -> None:
    assert guarded.call("GET", "/jobs", headers={"Authorization": f"{scheme} {token('read')}"}).status_code == 200


def test_the_text_says_what_is_wrong_with_a_token(guarded: Api) -> None:
    assert "is needed" in refusal(guarded, {})[1]
    assert "Bearer <token>" in refusal(guarded, {"Authorization": "Basic YTpi"})[1]
    assert "removed" in refusal(guarded, bearer(NOT_CONFIGURED))[1]
    mistyped = {"Authorization": f"Bearer {token('read')[:-2]}xx"}
    assert "mistyped" in refusal(guarded, mistyped)[1]


def test_a_token_of_another_form_may_be_configured_too(api: Api) -> None:
    digest = digest_of(b"jq_old")
    keyring = one_for_each_scope()
    assert keyring.find(b"jq_old") is None
    given = [each for scope in Scope if (each := keyring.find(token(scope).encode()))]
    given.append(type(given[0])("old", frozenset({Scope.READ}), digest))
    old = Api(Bench(api.bench.client), Access(type(keyring).configured(given, None)))
    assert old.call("GET", "/jobs", headers={"Authorization": "Bearer jq_old"}).status_code == 200


def test_an_error_has_the_code_and_the_scope_that_is_missing(guarded: Api) -> None:
    response = guarded.call("GET", "/jobs", headers=bearer("execute"))
    assert response.get_json()["context"] == {"scope": "read", "code": "forbidden"}
    assert guarded.call("GET", "/jobs").get_json()["context"] == {"code": "unauthenticated"}


class Unreadable:
    """A body that must not be read."""

    def read(self, *_: object) -> bytes:
        """Fail."""
        raise AssertionError("the body was read")

    readline = readlines = __iter__ = read


@pytest.mark.parametrize(("headers", "status"), [({}, 401), (bearer("read"), 403)])
def test_a_request_is_refused_before_its_body_is_read_and_the_store_is_asked(
    guarded: Api, headers: dict[str, str], status: int
) -> None:
    guarded.bench.connection.call = None  # type: ignore[method-assign, assignment]  # whoever uses it gets a 500
    stream: Any = Unreadable()
    for method, path in [("POST", "/jobs"), ("POST", "/jobs/claim"), ("DELETE", f"/jobs/{UNKNOWN_ID}")]:
        response = guarded.call(
            method,
            path,
            headers=headers,
            environ_overrides={"wsgi.input": stream, "CONTENT_LENGTH": "10"},
            content_type="text/plain",
        )
        assert response.status_code == status


def test_a_parameter_of_the_query_is_no_token(guarded: Api) -> None:
    assert guarded.call("GET", f"/jobs?token={token('admin')}&access_token={token('admin')}").status_code == 401


@pytest.mark.parametrize(
    ("sent", "status"), [(None, 401), ("wrong", 401), ("scraper", 200), (token("admin"), 200), (token("read"), 403)]
)
def test_metrics_need_their_token_or_an_admin_if_one_is_set(api: Api, sent: str | None, status: int) -> None:
    guarded = Api(Bench(api.bench.client), Access(one_for_each_scope(), digest_of(b"scraper")))
    headers = {"Authorization": f"Bearer {sent}"} if sent else {}
    assert guarded.call("GET", "/metrics", headers=headers).status_code == status


@pytest.mark.parametrize(("sent", "status"), [(None, 401), ("wrong", 401), ("scraper", 200)])
def test_metrics_of_an_open_api_may_need_a_token(api: Api, sent: str | None, status: int) -> None:
    half_open = Api(Bench(api.bench.client), Access(metrics_digest=digest_of(b"scraper")))
    headers = {"Authorization": f"Bearer {sent}"} if sent else {}
    assert half_open.call("GET", "/metrics", headers=headers).status_code == status
    assert half_open.call("POST", "/jobs", JOB).status_code == 201


def test_the_token_for_metrics_is_good_for_nothing_else(api: Api) -> None:
    guarded = Api(Bench(api.bench.client), Access(one_for_each_scope(), digest_of(b"scraper")))
    assert guarded.call("GET", "/jobs", headers={"Authorization": "Bearer scraper"}).status_code == 401


def test_a_token_that_is_removed_while_its_body_arrives_is_refused(api: Api, tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(lines([line("submit", Scope.SUBMIT), line("other", Scope.READ)]))
    keyring = Keyring.configured([], path)
    guarded = Api(Bench(api.bench.client), Access(keyring))

    class Slow(io.BytesIO):
        """A body before whose last byte the token is removed."""

        def read(self, size: int | None = -1, /) -> bytes:
            path.write_text(lines([line("other", Scope.READ)]))
            keyring.read_again()
            return super().read(size)

    body = json.dumps(JOB).encode()
    response = guarded.call(
        "POST",
        "/jobs",
        headers=bearer("submit"),
        environ_overrides={"wsgi.input": Slow(body), "CONTENT_LENGTH": str(len(body))},
        content_type="application/json",
    )
    assert response.status_code == 401
    assert api.bench.client.dbsize() == 0

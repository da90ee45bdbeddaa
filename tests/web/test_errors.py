"""Errors: all have one shape and the right headers, and none shows internal details."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from jobqueue import errors
from jobqueue.web.errors import STATUSES
from tests.support.web import JOB, UNKNOWN_ID, Api

INSIDES = ("Traceback", "File ", ".py", ".lua", "/work", "site-packages", "jobqueue}", "Error(", "script", "redis")


def assert_shape(response: TestResponse, status: int) -> dict[str, Any]:
    """Check that an error has this status and the documented shape; return its context."""
    assert response.status_code == status, response.text
    assert response.content_type == "application/json"
    body: dict[str, Any] = response.get_json()
    assert list(body) == ["error", "context"]
    assert isinstance(body["error"], str)
    assert body["error"]
    assert isinstance(body["context"], dict)
    assert not [word for word in INSIDES if word in response.text]
    context: dict[str, Any] = body["context"]
    return context


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/v1",
        "/api/v1/",
        "/api/v2/jobs",
        "/api/v1/job",
        "/api/v1/jobs/",
        "/api/v1//jobs",
        "/api/v1/health/",
        "/api/v1/admin",
        f"/api/v1/jobs/{UNKNOWN_ID}/cancel",
        "/static/app.py",
        "/metrics",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_path_is_not_found(api: Api, method: str, path: str) -> None:
    assert_shape(api.client.open(path, method=method), 404)


@pytest.mark.parametrize(
    "id_",
    [
        "1",
        "null",
        UNKNOWN_ID[:-1],
        UNKNOWN_ID + "0",
        UNKNOWN_ID.replace("-", ""),
        "{" + UNKNOWN_ID + "}",
        UNKNOWN_ID + "%0a",
        UNKNOWN_ID + "%00",
        "%20" + UNKNOWN_ID,
        "..",
        "..%2fhealth",
        "%2e%2e%2fjobs",
        "*",
        "%0d%0aX-Injected:%20yes",
        "%ff%fe",
        "%D9%A1" * 36,
        "{jobqueue}:sequence",
        "x" * 5000,
    ],
)
@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("PUT", "/complete"),
        ("POST", "/release"),
        ("GET", "/output"),
        ("DELETE", "?force=true"),
    ],
)
def test_a_malformed_id_is_not_found_and_stores_nothing(api: Api, method: str, more: str, id_: str) -> None:
    response = api.call(method, f"/jobs/{id_}{more}")
    assert_shape(response, 404)
    assert "X-Injected" not in response.headers
    assert api.bench.client.dbsize() == 0


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("GET", ""),
        ("GET", "/output"),
        ("PUT", "/heartbeat"),
        ("PUT", "/complete"),
        ("PUT", "/fail"),
        ("POST", "/release"),
    ],
)
def test_a_malformed_id_is_answered_as_an_unknown_job(api: Api, method: str, more: str) -> None:
    assert assert_shape(api.call(method, f"/jobs/no-id{more}"), 404) == {"code": "job_not_found"}


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/jobs", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("/jobs/bulk", {"OPTIONS", "POST"}),
        ("/jobs/bulk/cancel", {"OPTIONS", "POST"}),
        ("/jobs/claim", {"OPTIONS", "POST"}),
        (f"/jobs/{UNKNOWN_ID}", {"DELETE", "GET", "HEAD", "OPTIONS"}),
        (f"/jobs/{UNKNOWN_ID}/heartbeat", {"OPTIONS", "PUT"}),
        (f"/jobs/{UNKNOWN_ID}/complete", {"OPTIONS", "PUT"}),
        (f"/jobs/{UNKNOWN_ID}/fail", {"OPTIONS", "PUT"}),
        (f"/jobs/{UNKNOWN_ID}/release", {"OPTIONS", "POST"}),
        (f"/jobs/{UNKNOWN_ID}/output", {"GET", "HEAD", "OPTIONS"}),
        ("/admin/stats", {"GET", "HEAD", "OPTIONS"}),
        ("/admin/executors", {"GET", "HEAD", "OPTIONS"}),
        ("/health", {"GET", "HEAD", "OPTIONS"}),
        ("/metrics", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_wrong_method_is_answered_with_the_allowed_ones(api: Api, path: str, allowed: set[str]) -> None:
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "INVENTED"} - allowed:
        response = api.call(method, path)
        assert_shape(response, 405)
        assert set(response.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json", "a/b"],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/jobs"), ("POST", "/jobs/bulk"), ("POST", "/jobs/claim"), ("PUT", "/jobs/{}/fail")]
)
def test_a_body_without_the_json_content_type_is_refused(
    api: Api, method: str, path: str, content_type: str | None
) -> None:
    response = api.call(method, path.format(UNKNOWN_ID), data=b"{}", content_type=content_type)
    assert_shape(response, 415)
    assert api.bench.client.dbsize() == 0


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_a_json_content_type_may_have_parameters_and_capitals(api: Api, content_type: str) -> None:
    response = api.call("POST", "/jobs/claim", data=b'{"executor_id": "worker-1"}', content_type=content_type)
    assert response.status_code == 204


def test_the_answer_to_a_crash_shows_no_internal_details(api: Api) -> None:
    job_id = api.submit()
    api.bench.client.hset(f"{{jobqueue}}:job:{job_id}", "status", "nonsense")
    assert assert_shape(api.call("GET", f"/jobs/{job_id}"), 500) == {}


@pytest.mark.parametrize(("method", "path", "body"), [("GET", "/jobs", None), ("POST", "/jobs", JOB)])
def test_the_answer_to_a_script_error_shows_no_redis_keys(api: Api, method: str, path: str, body: Any) -> None:
    api.bench.client.set("{jobqueue}:jobs:pending:background", "not a sorted set")
    assert assert_shape(api.call(method, path, body), 500) == {}


def test_every_error_has_a_status_and_a_code_of_its_own() -> None:
    every = errors.JobQueueError.__subclasses__()
    assert set(STATUSES) == set(every)
    assert len({error.code for error in every}) == len(every)
    assert all(error.code.replace("_", "").isalpha() for error in every)


def test_a_refusal_has_a_code_and_the_id_of_its_job(api: Api) -> None:
    context = assert_shape(api.call("GET", f"/jobs/{UNKNOWN_ID}"), 404)
    assert context == {"code": "job_not_found", "job_id": UNKNOWN_ID}

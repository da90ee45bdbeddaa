"""The OpenAPI document: it is valid, lists exactly the routes of the app, and matches every answer."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from werkzeug.test import TestResponse

from jobqueue.web.access.policy import Access
from tests.support.tokens import one_for_each_scope
from tests.support.web import HOLDER, JOB, UNKNOWN_ID, Api

OPERATIONS = {
    "submit": "POST /jobs",
    "submit_many": "POST /jobs/bulk",
    "list_jobs": "GET /jobs",
    "get": "GET /jobs/{job_id}",
    "read_output": "GET /jobs/{job_id}/output",
    "cancel": "DELETE /jobs/{job_id}",
    "cancel_many": "POST /jobs/bulk/cancel",
    "claim": "POST /jobs/claim",
    "heartbeat": "PUT /jobs/{job_id}/heartbeat",
    "complete": "PUT /jobs/{job_id}/complete",
    "fail": "PUT /jobs/{job_id}/fail",
    "heartbeat_many": "POST /jobs/bulk/heartbeat",
    "finish_many": "POST /jobs/bulk/finish",
    "release": "POST /jobs/{job_id}/release",
    "stats": "GET /admin/stats",
    "list_activity": "GET /admin/activity",
    "list_executors": "GET /admin/executors",
    "health": "GET /health",
    "live": "GET /health/live",
    "metrics": "GET /metrics",
}
OUTPUT = {"stdout": {"offset": 0, "data": "out"}, "stderr": {"offset": 9, "data": "err"}}
MEASURED = {
    "reason": "signalled",
    "signal": "SIGKILL",
    "stdout_bytes": 3,
    "stdout_truncated": True,
    "user_cpu_seconds": 0.25,
    "system_cpu_seconds": 1,
    "peak_memory_bytes": 1024,
    "download_started_at_ms": 0,
    "program_started_at_ms": 1_700_000_000_000,
    "program_ended_at_ms": 253_402_300_799_999,
}


@pytest.fixture
def document(api: Api) -> dict[str, Any]:
    """The document as the app serves it."""
    served: dict[str, Any] = api.get("/openapi.json")
    return served


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)
    assert document["openapi"] == "3.1.0"


def test_the_document_has_exactly_the_routes_of_the_app(api: Api, document: dict[str, Any]) -> None:
    documented = {
        (method, path) for path, item in document["paths"].items() for method in item if method != "parameters"
    }
    served = {
        (method.lower(), re.sub(r"<job_id:(\w+)>", r"{\1}", rule.rule))
        for rule in api.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint != "api-docs.openapi_json"  # the document does not list its own route
    }
    assert documented == served


def test_every_documented_route_has_a_summary_and_its_error_statuses(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                assert operation["summary"], (method, path)
                assert "503" in operation["responses"] or path.endswith(("/metrics", "/live"))
                assert ("413" in operation["responses"]) == ("requestBody" in operation)


def operations(document: dict[str, Any]) -> dict[str, Any]:
    """Return the operations by their ids."""
    items = [item for path in document["paths"].values() for method, item in path.items() if method != "parameters"]
    return {item["operationId"]: item for item in items}


@pytest.mark.parametrize("access", [Access(), Access(one_for_each_scope())], ids=["open", "with tokens"])
def test_every_operation_says_what_token_it_needs(api: Api, access: Access) -> None:
    document = Api(api.bench, access).get("/openapi.json")
    validate(document)
    [(name, scheme)] = document["components"]["securitySchemes"].items()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    optional: list[dict[str, object]] = [{}] if access.is_open else []
    documented = operations(document)
    assert documented["submit"]["security"] == [{name: ["submit"]}, *optional]
    assert documented["list_jobs"]["security"] == [{name: ["read"]}, *optional]
    assert documented["claim"]["security"] == [{name: ["execute"]}, *optional]
    assert documented["health"]["security"] == []
    for operation in documented.values():
        refusals = {"401", "403"} if operation["security"] else set()
        assert {"401", "403"} & {*operation["responses"]} == refusals


def test_the_operation_ids_are_those_that_generated_clients_are_built_on(document: dict[str, Any]) -> None:
    operations = {
        operation["operationId"]: f"{method.upper()} {path.removeprefix('/api/v1')}"
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }
    assert operations == OPERATIONS


def patterns_in(part: Any) -> Iterator[str]:
    """Yield every pattern of a part of the document."""
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    for value in inner:
        yield from patterns_in(value)
    if isinstance(part, dict) and isinstance(part.get("pattern"), str):
        yield part["pattern"]


def test_the_patterns_mean_the_same_in_every_language(document: dict[str, Any]) -> None:
    patterns = set(patterns_in(document))
    assert len(patterns) >= 6
    for pattern in patterns:
        # RE2 has no look-ahead and no \u; \s and \w are other sets in each language; JavaScript reads what is beyond
        # U+FFFF as two characters.
        assert not re.search(r"\(\?|\\[^x.+\-\[\]]|[\U00010000-\U0010ffff]", pattern), ascii(pattern)
        assert pattern.startswith("^")
        assert pattern.endswith("$")


@pytest.mark.parametrize(
    ("schema", "required"),
    [
        ("NewJobIn", {"type", "binary_url", "binary_sha256", "priority"}),
        ("ClaimIn", {"executor_id"}),
        ("HeartbeatIn", {"executor_id"}),
        ("PieceIn", {"offset", "data"}),
        ("ReleaseIn", {"executor_id"}),
        ("CompleteIn", {"executor_id", "exit_code"}),
        ("FailIn", {"executor_id"}),
        ("BulkCancelIn", {"job_ids"}),
        ("ErrorOut", {"error", "context"}),
    ],
)
def test_required_fields_are_marked(document: dict[str, Any], schema: str, required: set[str]) -> None:
    schemas = {name.replace("-", ""): value for name, value in document["components"]["schemas"].items()}
    assert set(schemas.get(schema, schemas.get(schema.removesuffix("Schema"), {}))["required"]) == required


def closed(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with every schema closed: it allows no fields but those it names."""
    document = copy.deepcopy(document)
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    return document


def assert_documented(document: dict[str, Any], method: str, path: str, response: TestResponse) -> None:
    """Check that an answer matches the schema that the document has for it."""
    operation = document["paths"][f"/api/v1{path}"][method.lower()]
    documented = operation["responses"][str(response.status_code)]
    if "$ref" in documented:
        documented = document["components"]["responses"][documented["$ref"].rpartition("/")[2]]
    optional = {"Link", "Idempotent-Replay", "Retry-After", "Server-Timing"}
    assert set(documented.get("headers", {})) - optional <= set(response.headers.keys())
    if "content" not in documented:
        assert response.data == b""
        return
    schema = documented["content"][response.mimetype]["schema"]
    answer = response.get_json() if response.is_json else response.text
    whole = {**schema, "components": document["components"]}
    OAS31Validator(whole, format_checker=OAS31Validator.FORMAT_CHECKER).validate(answer)


def call_for_many_jobs(call: Callable[..., Any]) -> None:
    """Call the routes that serve many jobs of an executor. No job must be pending."""
    call("POST", "/jobs/claim", HOLDER | {"max_jobs": 2}, 204)
    batch = [call("POST", "/jobs", JOB, 201)["id"] for _ in range(2)]
    claimed = call("POST", "/jobs/claim", HOLDER | {"max_jobs": 1})["jobs"]
    beats = [{"id": job["id"], "attempt_token": job["attempt_token"], "output": OUTPUT} for job in claimed]
    call("POST", "/jobs/bulk/heartbeat", HOLDER | {"jobs": [*beats, {"id": "?", "attempt_token": "x"}]})
    results = [{"id": beats[0]["id"], "attempt_token": beats[0]["attempt_token"], **MEASURED, "exit_code": 1}]
    body = {**HOLDER, "results": [{**results[0], "outcome": "fail"}, {**results[0], "outcome": "complete"}]}
    assert [job["id"] for job in call("POST", "/jobs/bulk/finish", body | {"claim": {}})["jobs"]] == batch[1:]
    call("POST", "/jobs/bulk/finish", body)


def test_the_answers_of_all_routes_match_the_document(api: Api, document: dict[str, Any]) -> None:
    document = closed(document)
    seen = set()

    def call(method: str, path: str, body: Any = None, status: int = 200, job_id: str = UNKNOWN_ID) -> Any:
        response = api.call(method, path.replace("{job_id}", job_id), body)
        assert response.status_code == status, response.text
        assert_documented(document, method, path.partition("?")[0], response)
        seen.add((method.lower(), f"/api/v1{path.partition('?')[0]}"))
        return response.get_json(silent=True)

    full = {**JOB, "arguments": ["a"], "env_variables": {"A": "b"}}
    first, second = (call("POST", "/jobs", body, 201)["id"] for body in (full, JOB))
    cancelled = [entry["id"] for entry in call("POST", "/jobs/bulk", [full, JOB], 201)]
    call("GET", "/jobs?limit=1")
    call("DELETE", "/jobs/{job_id}", job_id=cancelled[0])
    call("POST", "/jobs/bulk/cancel", {"job_ids": [*cancelled, UNKNOWN_ID, "?"]})
    for verb, job_id in (("complete", first), ("fail", second)):
        token = {**HOLDER, "attempt_token": call("POST", "/jobs/claim", HOLDER)["attempt_token"]}
        call("GET", "/admin/executors")
        call("GET", "/jobs/{job_id}", job_id=job_id)
        call("PUT", "/jobs/{job_id}/heartbeat", {**token, "output": OUTPUT}, job_id=job_id)
        call("GET", "/jobs/{job_id}/output?stream=stderr&offset=5", job_id=job_id)
        call("PUT", f"/jobs/{{job_id}}/{verb}", {**token, **MEASURED, "exit_code": 1, "stdout": "out"}, job_id=job_id)
        call("GET", "/jobs/{job_id}/output", job_id=job_id)
        call("PUT", f"/jobs/{{job_id}}/{verb}", HOLDER | {"exit_code": 1}, 400, job_id)
        call("PUT", f"/jobs/{{job_id}}/{verb}", HOLDER | {"exit_code": 1}, 404)
    stopped = call("POST", "/jobs", {**JOB, "timeout_seconds": 0.5}, 201)["id"]
    call("POST", "/jobs/claim", HOLDER)
    call("DELETE", "/jobs/{job_id}?force=true", None, 202, stopped)
    call("DELETE", "/jobs/{job_id}?force=yes", None, 400, stopped)
    call("PUT", "/jobs/{job_id}/heartbeat", HOLDER, job_id=stopped)
    call("POST", "/jobs/{job_id}/release", {**HOLDER, "reason": "worker_shutdown"}, job_id=stopped)
    call("POST", "/jobs/{job_id}/release", HOLDER, 400, stopped)
    faulty = call("POST", "/jobs", JOB, 201)["id"]
    call("POST", "/jobs/claim", HOLDER)
    call("POST", "/jobs/{job_id}/release", {**HOLDER, "reason": "host_fault", "error_message": "why"}, job_id=faulty)
    call("GET", "/jobs/{job_id}", job_id=faulty)
    call("POST", "/jobs/{job_id}/release", HOLDER, 404)
    call("GET", "/jobs/{job_id}/output", None, 404)
    call("GET", "/jobs/{job_id}", job_id=stopped)
    call("POST", "/jobs/claim", HOLDER, 204)
    for job_id in (first, second, *cancelled):
        call("GET", "/jobs/{job_id}", job_id=job_id)
        call("DELETE", "/jobs/{job_id}", None, 400, job_id)
        call("PUT", "/jobs/{job_id}/heartbeat", HOLDER, 404, job_id)
    call_for_many_jobs(call)
    for path in ("/jobs", "/admin/stats", "/admin/executors", "/admin/activity", "/health", "/health/live", "/metrics"):
        call("GET", path)
    call("GET", "/jobs/{job_id}", None, 404)
    call("GET", "/jobs?limit=0&offset=x", None, 400)
    call("POST", "/jobs", {}, 400)
    call("POST", "/jobs/bulk", [1, {}], 400)
    assert seen == {(method, path) for path, item in document["paths"].items() for method in item} - {
        ("parameters", path) for path in document["paths"]
    }


def test_a_body_is_accepted_exactly_if_the_document_allows_it(api: Api, document: dict[str, Any]) -> None:
    schema = document["paths"]["/api/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    validator = OAS31Validator({**schema, "components": document["components"]})
    for change, good in ({}, True), ({"type": "a b"}, False), ({"extra": 1}, False), ({"priority": "urgent"}, False):
        assert validator.is_valid({**JOB, **change}) is good
        assert api.call("POST", "/jobs", {**JOB, **change}).status_code == (201 if good else 400)

"""Markup and scripts in every field that a client can fill: no answer has a type in which a browser would run them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.support.bench import SHA256
from tests.support.logins import administrator
from tests.support.serving import Server

PAYLOADS = [
    "<script>alert(1)</script>",
    "<img/src=x/onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    "</title></textarea><iframe/src=javascript:alert(1)>",
    "{{7*7}}${7*7}<%=7*7%>",
    "javascript:alert(document.domain)",
    "=HYPERLINK(1)",
]
TYPES = {"application/json", "text/plain"}
BROWSER = {"Accept": "text/html,application/xhtml+xml", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}


@pytest.fixture
def emptied(served: Server) -> Iterator[Server]:
    """The server, whose store is emptied afterwards."""
    yield served
    with administrator(served.variables["REDIS_URL"]) as client:
        client.flushall()


def run(served: Server, payload: str) -> str:
    """Run a job that has the payload wherever a client may write, and return its id."""
    job = {
        "type": payload,
        "binary_url": f"http://h/{quote(payload)}?{quote(payload)}",
        "binary_sha256": SHA256,
        "arguments": [payload],
        "env_variables": {payload.replace("=", ":"): payload},
        "priority": "background",
    }
    job_id = sent(served, "POST", "/jobs", job, {"Idempotency-Key": f'"{quote(payload)}"'}).json()["id"]
    claimed = sent(served, "POST", "/jobs/claim", {"executor_id": payload, "claim_id": "one"}).json()
    assert claimed["id"] == job_id
    result = {"stdout": payload, "stderr": payload, "error_message": payload, "exit_code": 1, "executor_id": payload}
    assert sent(served, "PUT", f"/jobs/{job_id}/fail", result).status_code == 200
    return str(job_id)


def sent(served: Server, method: str, path: str, body: Any, headers: dict[str, str] | None = None) -> requests.Response:
    """Send a request, and check its answer like any other."""
    answer = served.call(method, path, body, headers=headers or {})
    assert answer.ok, answer.text
    assert_is_no_page(answer)
    return answer


def assert_is_no_page(answer: requests.Response) -> None:
    """Check that a browser would show an answer as the text that it is."""
    assert answer.headers["Content-Type"].partition(";")[0] in TYPES
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_answer_is_a_page_that_runs_what_a_client_has_stored(emptied: Server, payload: str) -> None:
    job_id = run(emptied, payload)
    shown = [f"/jobs/{job_id}", "/jobs", f"/jobs?type={quote(payload)}&limit=1", "/admin/executors", "/admin/stats"]
    shown += [f"/jobs/{job_id}/output", f"/jobs/{job_id}/output?stream=stderr", "/metrics", "/openapi.json", "/health"]
    refused = [
        f"/{quote(payload)}",
        f"/jobs/{quote(payload)}",
        f"/jobs?limit={quote(payload)}",
        f"/jobs?{quote(payload)}=1",
    ]
    for path in [*shown, *refused]:
        answer = emptied.call("GET", path, headers={**BROWSER, "X-Request-Id": quote(payload)})
        assert answer.ok == (path in shown), path
        assert_is_no_page(answer)
        assert payload not in str(answer.headers)
    assert emptied.call("GET", f"/jobs/{job_id}").json()["stdout"] == payload

"""Every answer says what browsers may do with it, and nothing about the server."""

from __future__ import annotations

import pytest
from flask import Response

from jobqueue.web import config
from jobqueue.web.factory import create_app, create_services
from jobqueue.web.server import error_page
from tests.support.serving import Server
from tests.support.web import UNKNOWN_ID, Api

PROTECTING = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
HEALTH = b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/jobs", 200),
        ("GET", "/health", 200),
        ("GET", "/metrics", 200),
        ("GET", "/openapi.json", 200),
        ("OPTIONS", "/jobs", 200),
        ("GET", f"/jobs/{UNKNOWN_ID}", 404),
        ("GET", "/nowhere", 404),
        ("BREW", "/jobs", 405),
        ("GET", "/jobs?limit=x", 400),
        ("POST", "/jobs", 415),
    ],
)
def test_an_answer_is_neither_guessed_at_nor_kept(api: Api, method: str, path: str, status: int) -> None:
    answer = api.call(method, path)
    assert answer.status_code == status
    assert {name: answer.headers.getlist(name) for name in PROTECTING} == {k: [v] for k, v in PROTECTING.items()}
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_page_may_do_nothing_and_not_be_framed_unless_its_route_says_otherwise() -> None:
    app = create_app(create_services(config.load({})))
    app.add_url_rule("/page", "page", lambda: "<h1>A page</h1>")
    own = {"Content-Security-Policy": "default-src 'self'", "Cache-Control": "max-age=60"}
    app.add_url_rule("/own", "own", lambda: Response("<h1>A page</h1>", headers=own))
    page, its_own = app.test_client().get("/page"), app.test_client().get("/own")
    policy = page.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} == {*policy}
    assert {name: its_own.headers.getlist(name) for name in own} == {name: [value] for name, value in own.items()}


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (HEALTH, 200),
        (HEALTH.replace(b"health", b"nowhere"), 404),
        (HEALTH.replace(b"GET", b"DELETE"), 405),
        (HEALTH.replace(b"Host: x", b"Host: evil.example"), 400),
        (HEALTH.replace(b"Host: x", b"no colon"), 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (HEALTH.replace(b"Host", b"X: " + b"a" * 9000 + b"\r\nHost"), 431),
        (HEALTH.replace(b"Host", b"Expect: x\r\nHost"), 417),
        (b"hello\r\n\r\n", 400),
    ],
)
def test_no_answer_names_the_server_or_its_version(served: Server, request_: bytes, status: int) -> None:
    answer = served.send(request_)
    head = answer.partition(b"\r\n\r\n")[0].decode()
    names = {line.partition(":")[0].lower(): line.partition(": ")[2] for line in head.split("\r\n")[1:]}
    assert f" {status} " in head.splitlines()[0]
    assert {"server", "via", "x-powered-by"} & {*names} == set()
    assert [word for word in ("gunicorn", "werkzeug", "python", "flask") if word.encode() in answer.lower()] == []
    assert {name: names[name.lower()] for name in PROTECTING} == PROTECTING


def test_the_answer_of_a_busy_server_is_protected_as_well() -> None:
    sent: dict[str, str] = {}
    error_page.answer_busy(lambda _, headers: sent.update(headers))
    assert PROTECTING.items() <= sent.items()

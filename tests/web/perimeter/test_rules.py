"""`web/perimeter/rules.py`: every request is checked, whatever its method and path."""

from __future__ import annotations

import pytest
from flask import Flask, Response
from werkzeug.test import EnvironBuilder, run_wsgi_app

from jobqueue.web import config
from jobqueue.web.factory import create_app, create_services
from jobqueue.web.perimeter.hosts import Hosts
from jobqueue.web.perimeter.rules import Perimeter, configured
from tests.support.serving import PREFIX, Server
from tests.support.web import UNKNOWN_ID

METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"]
PATHS = [
    "/", "/api/v1", "/nowhere", "//", f"{PREFIX}/health", f"{PREFIX}/metrics", f"{PREFIX}/openapi.json",
    f"{PREFIX}/jobs", f"{PREFIX}/jobs/{UNKNOWN_ID}", f"{PREFIX}/jobs/malformed", f"{PREFIX}/jobs/claim",
]  # fmt: skip
ROUTE = f"{PREFIX}/openapi.json"


@pytest.fixture(scope="module")
def app() -> Flask:
    """An app that never reaches its Redis."""
    return create_app(create_services(config.load({})))


def sent(app: Flask, method: str = "GET", path: str = ROUTE, **variables: str | None) -> Response:
    """Send a request in whose WSGI environment these variables are set or, with None, missing."""
    environ = {**EnvironBuilder(path, method=method).get_environ(), **variables}
    environ = {name: value for name, value in environ.items() if value is not None}
    return Response(*run_wsgi_app(app, environ, buffered=True))


def refusal(answer: Response) -> tuple[int, str | None]:
    """Return the status and the code of an answer."""
    shape = answer.get_json(silent=True) or {}
    return answer.status_code, shape.get("context", {}).get("code")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_and_path_is_refused_under_an_unknown_host(app: Flask, method: str, path: str) -> None:
    answer = sent(app, method, path, HTTP_HOST="evil.example")
    assert refusal(answer) == (400, None if method == "HEAD" else "unknown_host")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", METHODS[3:])
def test_every_unsafe_method_and_path_is_refused_to_pages_of_other_sites(app: Flask, method: str, path: str) -> None:
    assert refusal(sent(app, method, path, HTTP_SEC_FETCH_SITE="cross-site")) == (403, "cross_origin")
    assert refusal(sent(app, method, path, HTTP_ORIGIN="null")) == (403, "cross_origin")


def test_the_refusal_of_a_host_says_what_to_do(app: Flask) -> None:
    error = sent(app, HTTP_HOST="evil.example").get_json()
    assert "ALLOWED_HOSTS" in error["error"]
    assert "API_TOKENS" in error["error"]
    assert error["context"]["host"] == "evil.example"


@pytest.mark.parametrize("host", [None, ""])
@pytest.mark.parametrize("is_open", [True, False])
def test_a_request_without_a_host_is_refused(host: str | None, is_open: bool) -> None:
    app = create_app(create_services(config.load({})), Perimeter(Hosts(allowed=["*"]), is_open))
    assert refusal(sent(app, HTTP_HOST=host)) == (400, "unknown_host")


@pytest.mark.parametrize("target", ["http://evil.example", "HTTPS://evil.example/", "x://", "http://a@b", "http://?x"])
def test_a_host_in_the_request_line_counts_as_well(app: Flask, target: str) -> None:
    assert refusal(sent(app, HTTP_HOST="localhost", RAW_URI=target + ROUTE)) == (400, "unknown_host")
    assert sent(app, HTTP_HOST="localhost", RAW_URI=f"http://localhost:8080{ROUTE}").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "x@y", "münchen.example"])
def test_any_host_will_do_when_tokens_are_configured(host: str) -> None:
    app = create_app(create_services(config.load({})), Perimeter(is_open=False))
    assert sent(app, HTTP_HOST=host).status_code == 200
    assert refusal(sent(app, "DELETE", HTTP_HOST=host, HTTP_ORIGIN="http://a.example")) == (403, "cross_origin")


def test_x_forwarded_host_changes_nothing(app: Flask) -> None:
    assert refusal(sent(app, HTTP_HOST="evil.example", HTTP_X_FORWARDED_HOST="localhost"))[0] == 400
    assert sent(app, HTTP_HOST="localhost", HTTP_X_FORWARDED_HOST="evil.example").status_code == 200


def test_the_settings_and_the_platform_allow_hosts() -> None:
    settings = config.load({"ALLOWED_HOSTS": "queue.example, *.corp.example"})
    hosts = configured(settings, {"FLY_APP_NAME": "app"}).hosts
    assert all(map(hosts.allows, ["queue.example", "a.corp.example", "app.fly.dev"]))
    assert not hosts.allows("corp.example")


def raw(target: str, *lines: str, version: str = "1.1") -> bytes:
    """Return a GET with these headers."""
    return "\r\n".join([f"GET {target} HTTP/{version}", *lines, "Connection: close", "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (raw(ROUTE, "Host: localhost"), 200),
        (raw(ROUTE, "HOST:LOCALHOST:1"), 200),
        (raw(ROUTE, "Host: localhost", version="1.0"), 200),
        (raw(ROUTE), 400),
        (raw(ROUTE, version="1.0"), 400),
        (raw(ROUTE, "Host:"), 400),
        (raw(ROUTE, "Host: evil.example"), 400),
        (raw(ROUTE, "Host: evil.example", version="1.0"), 400),
        (raw(ROUTE, "Host: localhost", "Host: localhost"), 400),
        (raw(ROUTE, "Host: localhost", "Host: evil.example"), 400),
        (raw(ROUTE, "Host: evil.example", "X-Forwarded-Host: localhost", "Forwarded: host=localhost"), 400),
        (raw(ROUTE, "Host: m\u00fcnchen"), 400),
        (raw(f"http://localhost{ROUTE}", "Host: localhost"), 200),
        (raw(f"http://evil.example{ROUTE}", "Host: localhost"), 400),
        (raw(f"http://localhost{ROUTE}", "Host: evil.example"), 400),
        (raw(f"http://localhost@evil.example{ROUTE}", "Host: localhost"), 400),
    ],
)
def test_a_served_request_is_refused_by_its_host(served: Server, request_: bytes, status: int) -> None:
    answer = served.send(request_)
    assert answer.startswith(b"HTTP/1.1 %d " % status) or answer.startswith(b"HTTP/1.0 %d " % status), answer[:300]


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "same-site"}, {"Origin": "null"}, {"Origin": "http://a.example"}]
)
def test_a_served_request_of_another_site_changes_nothing(served: Server, headers: dict[str, str]) -> None:
    answer = served.call("DELETE", f"/jobs/{UNKNOWN_ID}", headers=headers)
    assert (answer.status_code, answer.json()["context"]["code"]) == (403, "cross_origin")

"""`web/perimeter/browsers.py`: requests that pages of other sites make."""

from __future__ import annotations

import pytest

from jobqueue.web.perimeter.browsers import is_cross_origin

UNSAFE = ["POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "UNKNOWN"]
SITES = [
    "cross-site", "same-site", "Same-Origin", "NONE", "same-origin,cross-site", "same-origin, same-origin",
    "cross-site,none", "same-origin;x", '"none"', "null", "", " none", "anything",
]  # fmt: skip
FOREIGN = [
    "http://evil.example", "https://evil.example", "http://localhost", "http://localhost:3000", "http://127.0.0.1:8080",
    "http://localhost:8080.evil.example", "http://localhost.:8080", "http://evil.example:8080@localhost:8080",
    "http://localhost:8080@evil.example", "http://localhost:8080,http://evil.example", "http://localhost:8080 http://x",
    "http://localhost:8080/", "http://localhost:8080/evil.example", "//localhost:8080", "localhost:8080", "null",
    "NULL", "", "file://", "data:", "chrome-extension://localhost:8080", "ws://localhost:8080", "http://", "://",
    "http:///localhost:8080", "http:localhost:8080", "http://localhost:8080\\", "http://[::1]:8080", "http://*:8080",
]  # fmt: skip
OWN = [
    ("http://localhost:8080", "localhost:8080"),
    ("HTTP://LocalHost:8080", "localhost:8080"),
    ("http://localhost", "localhost:80"),
    ("http://localhost:80", "localhost"),
    ("https://queue.example", "queue.example"),
    ("https://queue.example", "queue.example:443"),
    ("http://[::1]:8080", "[::1]:8080"),
]


def asked(method: str, **headers: str) -> bool:
    variables = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    return is_cross_origin({"REQUEST_METHOD": method, "HTTP_HOST": "localhost:8080", **variables})


@pytest.mark.parametrize("method", UNSAFE)
def test_every_unsafe_method_counts(method: str) -> None:
    assert asked(method, sec_fetch_site="cross-site")
    assert asked(method, origin="http://evil.example")
    assert not asked(method)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_safe_method_may_come_from_anywhere(method: str) -> None:
    assert not asked(method, sec_fetch_site="cross-site", origin="null")


@pytest.mark.parametrize("site", SITES)
def test_only_the_page_itself_and_the_user_may_change_something(site: str) -> None:
    assert asked("POST", sec_fetch_site=site, origin="http://localhost:8080")


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_what_the_browser_says_of_the_site_counts_more_than_the_origin(site: str) -> None:
    assert not asked("POST", sec_fetch_site=site, origin="http://evil.example")


@pytest.mark.parametrize("origin", FOREIGN)
def test_an_origin_on_another_host_or_port_is_foreign(origin: str) -> None:
    assert asked("DELETE", origin=origin)


@pytest.mark.parametrize(("origin", "host"), OWN)
def test_an_origin_on_the_same_host_and_port_is_the_page_itself(origin: str, host: str) -> None:
    assert not asked("DELETE", origin=origin, host=host)


def test_a_request_without_a_host_has_no_origin_of_its_own() -> None:
    assert asked("POST", origin="http://localhost:8080", host="")

"""URLs are taken apart and joined."""

from __future__ import annotations

import pytest

from jobqueue.net.urls import Url, from_header, join


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("http://host", Url("http", "host", 80, "/", None)),
        ("HTTPS://HOST.:8443/a b?q=ü#part", Url("https", "host", 8443, "/a%20b?q=%C3%BC", None)),
        ("http://us%25r:pass@[::1]/x", Url("http", "[::1]", 80, "/x", "us%25r:pass")),
        ("http://host/a/../b/./c?", Url("http", "host", 80, "/b/c?", None)),
        ("http://host/%7euser%2fx", Url("http", "host", 80, "/%7Euser%2Fx", None)),
        ("ftp://host/x", Url("ftp", "host", 0, "/x", None)),
    ],
)
def test_a_url_is_taken_apart(text: str, parts: Url) -> None:
    assert Url.parse(text) == parts


@pytest.mark.parametrize("text", ["", "http:///path", "http://ho st/", "http://host:99999/", "http://[1.2.3.4]/"])
def test_an_unreadable_url_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match=r"^the URL (cannot be read|names no host)$"):
        Url.parse(text)


@pytest.mark.parametrize(
    ("text", "authority"),
    [
        ("http://host:80/", "host"),
        ("https://host:80/", "host:80"),
        ("https://host/", "host"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("http://[fe80::1%25eth0]:8080", "[fe80::1]:8080"),
        ("http://[fe80::1%25eth0]/", "[fe80::1]"),
    ],
)
def test_the_authority_omits_the_default_port(text: str, authority: str) -> None:
    assert Url.parse(text).authority == authority


@pytest.mark.parametrize("other", ["https://host/", "http://host:81/", "http://host2/"])
def test_an_origin_is_scheme_host_and_port(other: str) -> None:
    assert Url.parse("http://host/").origin == Url.parse("http://user@HOST:80/path").origin
    assert Url.parse("http://host/").origin != Url.parse(other).origin


@pytest.mark.parametrize(
    ("location", "url"),
    [("/x", "http://host/x"), ("x", "http://host/a/x"), ("//b/x", "http://b/x"), ("http://[::1", "http://[::1")],
)
def test_a_location_is_joined_to_its_base(location: str, url: str) -> None:
    assert join("http://host/a/b?c", location) == url


@pytest.mark.parametrize(
    ("raw", "url"),
    [
        (" /a\t", "/a"),
        ("/café".encode(), "/café"),
        (b"/caf\xe9?\xff", "/caf%E9?%FF"),
        (b"/caf%C3%A9", "/caf%C3%A9"),
        ("http://bücher.test/ü".encode(), "http://bücher.test/ü"),
    ],
)
def test_a_url_in_a_header_may_be_raw_bytes(raw: bytes | str, url: str) -> None:
    assert from_header(raw if isinstance(raw, str) else raw.decode("latin-1")) == url

"""Patterns name servers: by their exact name or by a domain, with a port or for all ports."""

from __future__ import annotations

import pytest

from jobqueue.net.destinations.hosts import Hosts


@pytest.mark.parametrize(
    ("pattern", "host", "port"),
    [
        ("a.host", "a.host", 80),
        ("A.HOST", "a.host", 8080),
        ("a.host.", "a.host", 80),
        ("a.host", "A.Host.", 80),
        ("a.host:80", "a.host", 80),
        ("*.host", "a.host", 80),
        ("*.host", "b.a.host", 443),
        ("*.host:80", "a.host", 80),
        ("*.Host.", "a.host.", 80),
        ("my_host-1", "my_host-1", 80),
        ("10.0.0.1", "10.0.0.1", 80),
        ("[::1]", "[0:0::0:1]", 80),
        ("[2001:DB8:0::1]:443", "[2001:db8::1]", 443),
        ("[fe80::1]", "[fe80::1%25eth0]", 80),
        ("bücher.example", "xn--bcher-kva.example", 80),
        ("*.BÜCHER.example", "www.xn--bcher-kva.example", 80),
        ("xn--bcher-kva.example", "bücher.example", 80),
    ],
)
def test_a_pattern_includes_its_server(pattern: str, host: str, port: int) -> None:
    assert Hosts.of(["other", pattern]).include(host, port)


@pytest.mark.parametrize(
    ("pattern", "host", "port"),
    [
        ("host", "a.host", 80),
        ("a.host:81", "a.host", 80),
        ("*.host", "host", 80),
        ("*.host", ".host", 80),
        ("*.host", "ahost", 80),
        ("*.a.host", "a.host", 80),
        ("*.host:81", "a.host", 80),
        ("*.host", "a.host.evil", 80),
        ("a.hos", "a.host", 80),
        ("a.host", "a.host\n", 80),
        ("a.host", "a..host", 80),
        ("127.0.0.1", "2130706433", 80),
        ("127.0.0.1", "127.1", 80),
        ("127.0.0.1", "[::ffff:127.0.0.1]", 80),
        ("127.0.0.1", "\uff11\uff12\uff17.0.0.1.evil", 80),
        ("[::1]", "[::2]", 80),
        ("host", "", 80),
        ("bücher.example", "bucher.example", 80),
    ],
)
def test_a_pattern_includes_no_other_server(pattern: str, host: str, port: int) -> None:
    assert not Hosts.of([pattern]).include(host, port)


@pytest.mark.parametrize(
    "pattern",
    [
        *str.split(
            "* *. . *host a.*.org a..b http://host host/ u@h h: h:0 h:65536 ::1 [::1 [1.2.3.4] *.[::1]:x a\\b a%2eb"
        ),
        *str.split("h? h# *.*.b [::1%eth0]"),
        *("", "a b", "a\x00"),
    ],
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"^$|not a host|octet|IPv6|[Ii]DNA|\d"):
        Hosts.of([pattern])


def test_without_patterns_no_server_is_included() -> None:
    assert not Hosts()
    assert not Hosts().include("host", 80)
    assert Hosts.of(["host"])

"""`web/perimeter/hosts.py`: the values of `Host` that name this server while the API is open."""

from __future__ import annotations

import pytest

from jobqueue.web.perimeter.authority import MAX_CHARACTERS
from jobqueue.web.perimeter.hosts import KEPT_VERDICTS, Hosts

ALLOWED = [
    "127.0.0.1", "127.0.0.1:8080", "127.0.0.1.", "8.8.8.8", "[::1]", "[::1]:8080", "[FE80::1]", "[fe80::1%eth0]:80",
    "[fe80::1%25eth0]", "[::ffff:127.0.0.1]", "localhost", "LocalHost:8080", "localhost.", "localhost:", "x", "api_1",
    "2130706433", "0x7f000001", "box.local", "a.b.localhost", "API.INTERNAL:80", "box.lan", "x.test.", "x.home.arpa",
]  # fmt: skip
REFUSED = [
    "evil.example", "EVIL.example:8080", "evil.com.", "127.0.0.1.evil.com", "127.0.0.1.evil.com.", "localhost.evil.com",
    "local.evil.com", "evillocal.com", "evil.com.local.com", "home.arpa", "xhome.arpa", ".local", "a..local", "..",
    ".", "127.1", "0x7f.1", "0177.0.0.1", "127.0.0.01", "256.0.0.1", "1.2.3", "evil.com@localhost", "a@evil.com",
    "user:word@127.0.0.1", "localhost,evil.com", "localhost, localhost", "localhost evil.com", "http://localhost",
    "localhost/", "localhost/evil.com", "localhost?", "localhost#", "localhost\\", "localhost%2eevil.com", "%6c", "*",
    "localhost:80:80", "localhost:x", "localhost:-1", "localhost:65536", "localhost:080808", "localhost:\u0661", ":80",
    "::1", "::1:8080", "[::1", "::1]", "[::1]x", "[::1]evil.com", "[evil.com]", "[::1%]", "[]", "[127.0.0.1]", "[:::1]",
    "[::1]:80:80", "b\u00fccher", "m\xc3\xbcnchen", "\u017fx", "localho\u017ft", "\uff4cocalhost", "localhost\u3002",
    " x", "x ", "x\t", "x\n", "a" * 64, "a." * 125 + "local", "a" * (MAX_CHARACTERS + 1), "",
]  # fmt: skip


@pytest.mark.parametrize("host", ALLOWED)
def test_a_host_that_nobody_else_can_own_is_allowed(host: str) -> None:
    assert Hosts().allows(host)


@pytest.mark.parametrize("host", REFUSED, ids=ascii)
def test_any_other_host_is_not_allowed(host: str) -> None:
    assert not Hosts().allows(host)


@pytest.mark.parametrize(
    ("pattern", "host", "allowed"),
    [
        ("queue.example", "queue.example", True),
        ("Queue.Example.", "QUEUE.example:443", True),
        ("queue.example", "queue.example.", True),
        ("queue.example", "a.queue.example", False),
        ("queue.example", "queue.example.evil.com", False),
        ("queue.example", "xqueue.example", False),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", True),
        ("*.queue.example", "a.b.queue.example:80", True),
        ("*.queue.example", "queue.example", False),
        ("*.queue.example", "xqueue.example", False),
        ("*.queue.example", "a.queue.example.evil.com", False),
        ("*", "anything.example", True),
        ("*", "user@anything.example", False),
        ("*", "", False),
    ],
)
def test_the_operator_may_list_names(pattern: str, host: str, allowed: bool) -> None:
    assert Hosts(allowed=["other.example", pattern]).allows(host) is allowed


def test_names_of_this_machine_are_allowed() -> None:
    hosts = Hosts(own_names=["box.corp.example"])
    assert hosts.allows("Box.Corp.Example:8080")
    assert not hosts.allows("corp.example")


def test_the_verdicts_that_are_remembered_are_few_and_stay_right() -> None:
    hosts = Hosts()
    names = [f"box{number}.{ending}" for number in range(2 * KEPT_VERDICTS) for ending in ("example", "lan")]
    assert [hosts.allows(name) for name in names] == [name.endswith(".lan") for name in names]
    assert [hosts.allows(name) for name in names[:2]] == [False, True]

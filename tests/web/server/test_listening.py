"""BIND: the addresses on which the API listens."""

from __future__ import annotations

import logging
import socket
from contextlib import ExitStack, closing
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config

from jobqueue.local.run import free_port
from jobqueue.settings import InvalidSetting
from jobqueue.web import config
from jobqueue.web.server import listening

needs_ipv6 = pytest.mark.skipif(not listening.has_ipv6(), reason="this machine has no IPv6")


def listeners(*hosts: str, port: int) -> list[Any]:
    """Return the sockets that gunicorn gets for these addresses."""
    settings = Config()
    settings.set("bind", listening.bind_texts(hosts, port))
    arbiter = SimpleNamespace(cfg=settings, LISTENERS=[], master_pid=0, log=logging.getLogger("test"))
    listening.open_listeners(arbiter)
    opened: list[Any] = arbiter.LISTENERS
    return opened


def accepts(host: str, port: int) -> bool:
    """Whether something listens there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as client:
        return client.connect_ex((host, port)) == 0


@needs_ipv6
@pytest.mark.parametrize(
    ("hosts", "reached"),
    [
        ([], ["127.0.0.1", "::1"]),
        (["::"], ["127.0.0.1", "::1"]),
        (["0.0.0.0"], ["127.0.0.1"]),
        (["0.0.0.0", "::"], ["127.0.0.1", "::1"]),
        (["127.0.0.1"], ["127.0.0.1"]),
        (["::1"], ["::1"]),
        (["[::1]"], ["::1"]),
        (["127.0.0.1", "::1"], ["127.0.0.1", "::1"]),
        (["127.0.0.1", "127.0.0.1"], ["127.0.0.1"]),
    ],
    ids=str,
)
def test_the_server_listens_where_it_is_told_and_nowhere_else(hosts: list[str], reached: list[str]) -> None:
    port = free_port()
    with ExitStack() as stack:
        for listener in listeners(*hosts, port=port):
            stack.callback(listener.close)
        assert [host for host in ("127.0.0.1", "::1") if accepts(host, port)] == reached


def test_a_machine_without_ipv6_listens_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_ipv6(family: int, *_: object) -> Any:
        assert family == socket.AF_INET6
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", without_ipv6)
    assert listening.bind_texts([], 8080) == ["0.0.0.0:8080"]


def test_a_name_means_all_its_addresses() -> None:
    port = free_port()
    with ExitStack() as stack:
        for listener in listeners("localhost", port=port):
            stack.callback(listener.close)
        assert accepts("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "words"),
    [("192.0.2.1", "192.0.2.1, port"), ("2001:db8::1", "2001:db8::1, port"), ("no.such.host.invalid", "'no.such.host")],
)
def test_an_address_of_another_machine_ends_the_server_with_one_sentence(host: str, words: str) -> None:
    with pytest.raises(SystemExit, match=rf"^The server cannot listen on {words}.*\w\.$"):
        listeners(host, port=8080)


def test_a_port_that_stays_in_use_ends_the_server_with_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "IN_USE_SECONDS", 0)
    with closing(socket.create_server(("127.0.0.1", free_port()))) as other:
        port = other.getsockname()[1]
        with pytest.raises(SystemExit, match=rf"^The server cannot listen on 127\.0\.0\.1, port {port}: Address .*\.$"):
            listeners("127.0.0.1", port=port)


@pytest.mark.parametrize(
    ("value", "hosts"),
    [
        ("", ()),
        ("::1", ("::1",)),
        ("[::1], 127.0.0.1", ("[::1]", "127.0.0.1")),
        ("fe80::1%eth0", ("fe80::1%eth0",)),
        ("api.internal", ("api.internal",)),
    ],
)
def test_bind_takes_addresses_and_names(value: str, hosts: tuple[str, ...]) -> None:
    assert config.load_gunicorn({"BIND": value}).bind == hosts


@pytest.mark.parametrize("value", ["127.0.0.1:80", "[::1]:80", "[::1", "http://h", "unix:/x", "a b", "-", ",", "*"])
def test_a_bind_that_is_no_address_is_refused(value: str) -> None:
    with pytest.raises(InvalidSetting, match=r"^BIND is .*, but must be addresses or host names without a port"):
        config.load_gunicorn({"BIND": value})


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        (("::ffff:10.0.0.1", 5, 0, 0), ("10.0.0.1", 5)),
        (("2001:db8::1", 5, 0, 0), ("2001:db8::1", 5, 0, 0)),
        (("10.0.0.1", 5), ("10.0.0.1", 5)),
        ("", ""),
    ],
)
def test_an_ipv4_client_has_a_plain_ipv4_address(address: Any, plain: Any) -> None:
    assert listening.plain(address) == plain

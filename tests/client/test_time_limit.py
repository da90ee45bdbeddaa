"""A request to the API keeps to its time limit, whatever it waits for."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from jobqueue.client.transport import ApiUnavailable, Transport
from tests.support.fake_server import FakeServer, Reply, in_json, nobody, serving
from tests.support.hosts import BEHAVIOURS, Behaviour, misbehaving, resolve_to, silent_name_server, swallowing
from tests.support.tls import needs_openssl, serving_tls

SECONDS = 0.3
GENEROUS_SECONDS = 5


@contextmanager
def given_up_in_time() -> Iterator[None]:
    begun = time.monotonic()
    with pytest.raises(ApiUnavailable):
        yield
    assert SECONDS / 2 < time.monotonic() - begun < GENEROUS_SECONDS


def ask(url: str, within_seconds: float = SECONDS) -> object:
    with closing(Transport(url)) as transport:
        return transport.call("GET", "/jobs/1", within_seconds=within_seconds)


@pytest.mark.parametrize("behave", BEHAVIOURS)
def test_a_misbehaving_server_is_given_up_in_time(behave: Behaviour) -> None:
    with misbehaving(behave) as url, given_up_in_time():
        ask(url)


@needs_openssl
def test_a_dripping_body_over_tls_is_given_up_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()

    def drops() -> Iterator[bytes]:
        while not stop.wait(0.05):
            yield b"x"

    with serving_tls(tmp_path, lambda _: Reply(pieces=drops(), length=100_000)) as site:
        monkeypatch.setattr("certifi.where", lambda: str(site.certificate))
        with given_up_in_time():
            ask(site.url)
        stop.set()


@needs_openssl
def test_only_a_valid_certificate_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_tls(tmp_path, lambda _: in_json({})) as site:
        with pytest.raises(ApiUnavailable, match="certificate cannot be trusted"):
            ask(site.url, GENEROUS_SECONDS)
        monkeypatch.setattr("certifi.where", lambda: str(site.certificate))
        assert ask(site.url, GENEROUS_SECONDS) == {}
        with pytest.raises(ApiUnavailable, match="certificate cannot be trusted"):
            ask(site.url.replace("localhost", "127.0.0.1"), GENEROUS_SECONDS)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_silent_server_is_given_up_in_time(scheme: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as deaf, given_up_in_time():
        ask(f"{scheme}://127.0.0.1:{deaf.getsockname()[1]}")


def test_a_look_up_without_an_answer_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with silent_name_server(monkeypatch), given_up_in_time():
        ask("http://host")


def test_many_addresses_that_swallow_connections_are_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with swallowing() as url:
        resolve_to(monkeypatch, *[url] * 100)
        with given_up_in_time():
            ask("http://host")


@pytest.mark.parametrize("dead", [nobody, swallowing])
def test_the_next_address_is_tried_when_the_first_is_dead(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, dead: Callable[[], AbstractContextManager[str]]
) -> None:
    with dead() as url, closing(Transport("http://host", connect_seconds=0.2)) as transport:
        resolve_to(monkeypatch, url, server.url)
        assert transport.call("GET", "/jobs/1", within_seconds=GENEROUS_SECONDS) == {}


def test_a_host_can_be_an_ipv6_address() -> None:
    with serving(lambda _: in_json({})) as server, closing(socket.socket(socket.AF_INET6)) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 here")
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(ApiUnavailable, match="refused"):  # it listens on IPv4 alone, so nobody is there
            ask(f"http://[::1]:{port}", GENEROUS_SECONDS)


def test_a_machine_out_of_threads_is_an_unavailable_api(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", fail)
    with pytest.raises(ApiUnavailable, match="Resource temporarily unavailable"):
        ask(server.url, GENEROUS_SECONDS)


@pytest.mark.parametrize("host", ["a..b", "x" * 64])
def test_a_malformed_host_name_is_an_unavailable_api(host: str) -> None:
    with pytest.raises(ApiUnavailable, match="name cannot be read"):
        ask(f"http://{host}/api/v1", GENEROUS_SECONDS)

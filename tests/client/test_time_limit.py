"""Nobody waits for the API beyond the time given, whatever it is that does not come."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from jobqueue.client.transport import ApiUnavailable, Transport
from jobqueue.net.names import look_up
from jobqueue.net.time_limit import TimeLimit
from tests.support.fake_server import FakeServer, Reply, in_json, nobody, serving
from tests.support.tls import needs_openssl, serving_tls

SECONDS = 0.3
GENEROUS_SECONDS = 5


@contextmanager
def given_up_in_time() -> Iterator[None]:
    begun = time.monotonic()
    with pytest.raises(ApiUnavailable):
        yield
    assert SECONDS / 2 < time.monotonic() - begun < GENEROUS_SECONDS


def ask(url: str) -> int:
    with closing(Transport(url)) as transport:
        return transport.call("GET", "/jobs/1", within_seconds=SECONDS).status


def dripping(stop: threading.Event) -> Iterator[bytes]:
    """Begin an answer that never ends."""
    yield b"HTTP/1.1 200 OK\r\nX-Padding: "
    while not stop.wait(0.05):
        yield b"x"


def test_headers_that_drip() -> None:
    """Sent by hand: the server of these tests would send them at once."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        stop = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):  # whoever asked hangs up
                for piece in dripping(stop):
                    connection.sendall(piece)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with given_up_in_time():
            ask(f"http://127.0.0.1:{listener.getsockname()[1]}")
        stop.set()
        thread.join()


@needs_openssl
def test_a_body_that_drips_behind_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    with serving_tls(tmp_path, lambda _: Reply(pieces=dripping(stop), length=100_000)) as site:
        monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(site.certificate))
        with given_up_in_time():
            ask(site.url)
        stop.set()


@needs_openssl
def test_tls_is_spoken_to_whom_somebody_vouches_for_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_tls(tmp_path, lambda _: in_json({})) as site:
        with pytest.raises(ApiUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            ask(site.url)
        monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(site.certificate))
        assert ask(site.url) == 200
        with pytest.raises(ApiUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            ask(site.url.replace("localhost", "127.0.0.1"))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_takes_connections_and_says_nothing(scheme: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as deaf, given_up_in_time():
        ask(f"{scheme}://127.0.0.1:{deaf.getsockname()[1]}")


def test_a_name_that_is_being_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [over.wait(60)])
    try:
        with given_up_in_time():
            ask("http://host")
    finally:
        over.set()


def test_many_addresses_where_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener, closing(socket.socket()) as first, closing(socket.socket()) as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for waiting in (first, second):  # the queue is full now: nobody else is answered
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", listener.getsockname())] * 100
        monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)
        with given_up_in_time():
            ask("http://host")


def test_the_next_address_is_tried_when_one_refuses(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with nobody() as refusing:
        places = [("127.0.0.1", int(url.rpartition(":")[2])) for url in (refusing, server.url)]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
        monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)
        assert ask("http://host") == 200


def test_a_host_may_be_an_address_of_ipv6() -> None:
    with serving(lambda _: in_json({})) as server, closing(socket.socket(socket.AF_INET6)) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 here")
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(ApiUnavailable, match="refused"):  # it listens on IPv4 alone, so nobody is there
            ask(f"http://[::1]:{port}")


def test_threads_cannot_be_started(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", fail)
    with pytest.raises(ApiUnavailable, match="Resource temporarily unavailable"):
        ask(server.url)


@pytest.mark.parametrize("host", ["a..b", "x" * 64])
def test_a_host_whose_name_is_none(host: str) -> None:
    with pytest.raises(ApiUnavailable, match="name cannot be read"):
        ask(f"http://{host}/api/v1")


def test_a_port_that_is_too_high_cannot_be_looked_up() -> None:
    with pytest.raises(socket.gaierror, match="cannot be read"):
        look_up("127.0.0.1", 2**100, TimeLimit(10))

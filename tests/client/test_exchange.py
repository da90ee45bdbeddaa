"""A request reaches the API although a connection, or one of the API's addresses, leads nowhere."""

from __future__ import annotations

import io
import itertools
import socket
import threading
import time
from contextlib import ExitStack, closing

import pytest

from jobqueue.client import exchange
from jobqueue.client.claims import Claims
from jobqueue.client.transport import ApiRefused, ApiUnavailable, Transport
from tests.support.fake_server import FakeServer, Reply, in_json
from tests.support.hosts import (
    HEAD,
    Behaviour,
    at_most,
    misbehaving,
    resetting_after,
    resolve_to,
    silent,
    swallowing,
)
from tests.support.silencing import leading_to
from tests.support.waiting import wait_until

GENEROUS_SECONDS = 20
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
STAGES = {
    "accepted": resetting_after(b"", read_first=False),
    "request": resetting_after(b""),
    "status": resetting_after(b"HTTP/1.1 20"),
    "header": resetting_after(HEAD),
    "interim": resetting_after(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"),
    "body": resetting_after(HEAD + b'\r\n{"id"'),
    "chunk": resetting_after(CHUNKED + b"5\r\n{"),
}


@pytest.mark.parametrize("behave", STAGES.values(), ids=STAGES)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_connection_that_is_reset_is_an_unavailable_api(scheme: str, behave: Behaviour) -> None:
    with misbehaving(behave) as url, closing(Transport(url.replace("http", scheme))) as transport:
        with pytest.raises(ApiUnavailable):
            transport.call("POST", "/jobs/claim", {})
        with pytest.raises(ApiUnavailable):
            transport.send("PUT", "/jobs/1/complete", io.BytesIO(b"x" * 3_000_000))


ANSWERS = {
    "portal": Reply(200, b"<html>Please sign in", {"Content-Type": "text/html"}),
    "list": Reply(200, b"[1]"),
    "nothing": Reply(200),
    "null": Reply(200, b"null"),
    "redirect": Reply(302, b"", {"Location": "https://portal.example/?next=/jobs"}),
    "proxy password": Reply(407, b"<html>"),
    "bad gzip": Reply(200, b"{}", {"Content-Encoding": "gzip"}),
    "bad deflate": Reply(200, b"{}", {"Content-Encoding": "deflate, gzip, br"}),
    "gateway's 404": Reply(404, b'{"error": "no such route"}'),
    "error as an object": Reply(404, b'{"error": {"code": 1}, "context": {}}'),
    "context as a list": Reply(404, b'{"error": "not found", "context": []}'),
    "deep": Reply(200, b"[" * 200_000),
    "long number": Reply(200, b"1" * 5_000_000),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_of_another_server_is_an_unavailable_api(
    server: FakeServer, transport: Transport, answer: Reply
) -> None:
    server.answer = lambda _: answer
    with pytest.raises(ApiUnavailable):
        Claims(transport, "executor-1").claim()


def test_a_redirect_says_what_to_set(server: FakeServer, transport: Transport) -> None:
    server.answer = lambda _: Reply(308, b"", {"Location": "https://queue.example/api/v1/jobs?token=canary"})
    with pytest.raises(ApiUnavailable, match=r"308 .*API_URL.*https://queue\.example/api/v1/jobs$"):
        transport.call("GET", "/jobs")


def in_file() -> io.BytesIO:
    return io.BytesIO(b'{"exit_code": 0}')


def test_a_report_does_not_wait_for_a_connection_that_passes_nothing(server: FakeServer) -> None:
    with leading_to(server.url) as way, closing(Transport(way.url)) as transport:
        transport.send("PUT", "/jobs/1/heartbeat", in_file(), 60)
        way.silence()
        begun = time.monotonic()
        assert transport.send("PUT", "/jobs/1/complete", in_file(), 60) == {}
        assert time.monotonic() - begun < 20
    assert [request.path for request in server.requests] == ["/jobs/1/heartbeat", "/jobs/1/complete"]


def test_a_claim_is_not_sent_again_on_another_connection(server: FakeServer) -> None:
    with leading_to(server.url) as way, closing(Transport(way.url)) as transport:
        transport.call("GET", "/health")
        way.silence()
        with pytest.raises(ApiUnavailable):
            transport.call("POST", "/jobs/claim", {}, 0.3)
        assert transport.call("POST", "/jobs/claim", {}, GENEROUS_SECONDS) == {}


@pytest.mark.parametrize("dead", [silent, resetting_after(b"")], ids=["silent", "resetting"])
def test_an_address_that_leads_nowhere_is_avoided(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, dead: Behaviour
) -> None:
    monkeypatch.setattr(exchange, "MAX_SILENCE_SECONDS", 1.0)
    with misbehaving(dead) as url, closing(Transport("http://host")) as transport:
        resolve_to(monkeypatch, url, server.url)
        transport.send("PUT", "/jobs/1/complete", in_file(), GENEROUS_SECONDS)
        server.answer = lambda _: Reply(body=b"{}", headers={"Connection": "close"})
        with at_most(10):
            for _ in range(20):  # each on a connection of its own
                transport.send("PUT", "/jobs/1/complete", in_file(), GENEROUS_SECONDS)
    assert len(server.requests) >= 21


def test_an_address_without_an_answer_does_not_use_up_the_time_limit(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with swallowing() as dead, closing(Transport("http://host", connect_seconds=30)) as transport:
        resolve_to(monkeypatch, *[dead] * 3, server.url)
        assert transport.call("POST", "/jobs/claim", {}, 5) == {}


def test_a_connection_that_the_server_has_closed_is_not_used_again(server: FakeServer, transport: Transport) -> None:
    with ExitStack() as stack:
        connections: list[socket.socket] = []

        def answer_once(connection: socket.socket, over: threading.Event) -> None:
            connection.recv(65536)
            connections.append(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        url = stack.enter_context(misbehaving(answer_once))
        transport = stack.enter_context(closing(Transport(url)))
        for _ in range(3):
            assert transport.call("POST", "/jobs/claim", {}) == {}
            wait_until("the server has closed it", lambda: connections[-1].fileno() == -1)
        assert len(connections) == 3


def test_a_refusal_of_a_body_that_is_still_being_sent_is_read() -> None:
    def refuse(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        over.wait(0.5)

    with (
        misbehaving(refuse) as url,
        closing(Transport(url)) as transport,
        pytest.raises(ApiRefused, match="413"),
    ):
        transport.send("PUT", "/jobs/1/complete", io.BytesIO(bytes(20_000_000)))


def test_a_large_report_over_a_slow_link_is_not_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system has taken the last byte long before the server has it."""
    monkeypatch.setattr(exchange, "MAX_SILENCE_SECONDS", 1.2)
    connections = itertools.count()
    byte_count = 600_000

    def read_slowly(connection: socket.socket, over: threading.Event) -> None:
        next(connections)
        left = byte_count
        while left > 0 and not over.wait(0.1):
            left -= len(connection.recv(24_000))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        over.wait()

    with misbehaving(read_slowly) as url, closing(Transport(url)) as transport:
        assert transport.send("PUT", "/jobs/1/complete", io.BytesIO(bytes(byte_count)), GENEROUS_SECONDS) == {}
    assert next(connections) == 1


def test_an_api_at_an_ipv6_address_is_reached() -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    received: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            received.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=serve)
        thread.start()
        with closing(Transport(f"http://[::1]:{port}/api/v1")) as transport:
            assert transport.call("GET", "/health") == {}
        thread.join()
    assert f"Host: [::1]:{port}\r\n".encode() in received[0]


def test_an_interim_answer_is_skipped(server: FakeServer) -> None:
    def answer(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3)
        headers = b"".join(b"X-%d: y\r\n" % number for number in range(900))
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + headers + b'Content-Length: 9\r\n\r\n{"id": 1}')
        over.wait()

    with misbehaving(answer) as url, closing(Transport(url)) as transport:
        assert transport.call("GET", "/jobs/1") == {"id": 1}


def test_a_request_that_is_answered_is_sent_once(server: FakeServer, transport: Transport) -> None:
    server.answer = lambda request: in_json({}) if request.path == "/jobs/1" else Reply(503)
    transport.send("PUT", "/jobs/1", in_file())
    with pytest.raises(ApiUnavailable):
        transport.send("PUT", "/jobs/2", in_file())
    assert len(server.requests) == 2


def test_a_second_connection_that_passes_nothing_is_given_up_too(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a balancer still sends connections to a machine that is gone."""
    monkeypatch.setattr(exchange, "MAX_SILENCE_SECONDS", 0.2)
    with misbehaving(silent) as dead, closing(Transport("http://host")) as transport:
        resolve_to(monkeypatch, dead, dead, server.url)
        with at_most(30):
            assert transport.send("PUT", "/jobs/1/complete", in_file(), 60) == {}


def test_an_api_that_is_slow_to_answer_is_waited_for(
    server: FakeServer, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "MAX_SILENCE_SECONDS", 0.1)

    def answer_late(_: object) -> Reply:
        server.closed.wait(0.5)
        return in_json({})

    server.answer = answer_late
    assert transport.send("PUT", "/jobs/1/complete", in_file(), GENEROUS_SECONDS) == {}

"""`web/server/serving.py`: how an answer is sent, and gunicorn's settings as its requests use them."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config

from jobqueue.web.server.serving import SENT_TOGETHER_BYTES, Answer, Settled


@dataclass
class Client:
    """A client's socket that keeps the pieces it was sent."""

    pieces: list[bytes] = field(default_factory=list)

    def sendall(self, data: bytes) -> None:
        """Keep a piece."""
        self.pieces.append(data)


def answer(client: Client, status: str, length: int | None = None, method: str = "GET") -> Answer:
    request = SimpleNamespace(version=(1, 1), method=method, should_close=lambda: False)
    started = Answer(request, client, Config())
    started.start_response(status, [] if length is None else [("Content-Length", str(length))])
    return started


def test_a_head_and_its_body_are_sent_together() -> None:
    client = Client()
    ok = answer(client, "200 OK", length=6)
    ok.write(b"abc")
    ok.write(b"def")
    ok.close()
    head, _, body = client.pieces[0].partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nDate: ")
    assert b"\r\nConnection: keep-alive\r\nContent-Length: 6" in head
    assert (body, client.pieces[1:]) == (b"abc", [b"def"])


def test_a_large_body_is_not_copied() -> None:
    client, body = Client(), bytes(SENT_TOGETHER_BYTES + 1)
    answer(client, "200 OK", length=len(body)).write(body)
    assert client.pieces[1] is body


@pytest.mark.parametrize(("status", "method"), [("204 No Content", "POST"), ("200 OK", "HEAD")])
def test_an_answer_without_a_body_is_its_head(status: str, method: str) -> None:
    client = Client()
    empty = answer(client, status, length=3, method=method)
    if method == "HEAD":
        empty.write(b"abc")
    empty.close()
    assert len(client.pieces) == 1
    assert client.pieces[0].endswith(b"\r\n\r\n")


def test_a_body_of_unknown_length_comes_in_chunks() -> None:
    client = Client()
    chunked = answer(client, "200 OK")
    chunked.write(b"abc")
    chunked.close()
    assert client.pieces[0].endswith(b"Transfer-Encoding: chunked\r\n\r\n")
    assert client.pieces[1:] == [b"3\r\nabc\r\n", b"0\r\n\r\n"]


def test_nothing_is_sent_before_there_is_a_body_so_that_an_error_can_still_be_answered() -> None:
    client = Client()
    begun = answer(client, "200 OK", length=3)
    begun.send_headers()
    assert (begun.headers_sent, client.pieces) == (False, [])


def test_a_setting_is_computed_once() -> None:
    asked: list[str] = []

    class Settings:
        """Settings that note each look."""

        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            return name.upper()

    settled = Settled(Settings())
    assert [settled.keepalive, settled.keepalive, settled.timeout] == ["KEEPALIVE", "KEEPALIVE", "TIMEOUT"]
    assert asked == ["keepalive", "timeout"]

"""The heads of answers: what is read without the library's parser means what the library takes it for."""

from __future__ import annotations

import http.client
import io
import random
from http.client import HTTPException, HTTPResponse
from typing import Any

import pytest

from jobqueue.net.heads import StrictResponse

STATUS_LINES = [
    *[b"HTTP/1.1 200 OK\r\n"] * 8,
    b"HTTP/1.1 204 NO CONTENT\r\n",
    b"HTTP/1.1 304 Not Modified\r\n",
    b"HTTP/1.1 503 \r\n",
    b"HTTP/1.1 404\r\n",
    b"HTTP/1.1 200 Tr\xe8s bien \r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.1 200 OK\n",
    b"HTTP/1.1  200  OK\r\n",
    b"HTTP/2 200 OK\r\n",
    b"HTTP/1.1 099 OK\r\n",
    b"HTTP/1.1 999 OK\r\n",
    b"HTTP/1.1 2000 OK\r\n",
    b"nonsense\r\n",
    b"",
]
HEADERS = [
    b"Content-Length: 12\r\n",
    b"Content-Length: 12\r\n",
    b"content-length: 12\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length: +1\r\n",
    b"Content-Length: 1_0\r\n",
    b"Content-Length: 12, 12\r\n",
    b"Content-Length:\r\n",
    b"Content-Length:7\r\n",
    b"Content-Length : 7\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: Chunked\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"Connection: close\r\n",
    b"Connection: Close, x\r\n",
    b"Connection: keep-alive\r\n",
    b"Keep-Alive: timeout=5\r\n",
    b"Server-Timing: wait;dur=17\r\n",
    b"Location: /caf\xc3\xa9\r\n",
    b"X-Tab:\tvalue\t\r\n",
    b"X-Space: value \r\n",
    b"X-Folded: one\r\n two\r\n",
    b"X-Bare: line\n",
    b"X-Return: a\rb\r\n",
    b"X-Empty:\r\n",
    b"X-Empty: \r\n",
    b"X_Odd: name\r\n",
    b"no colon\r\n",
    b": no name\r\n",
    b"Set-Cookie: a=1\r\n",
    b"Set-Cookie: b=2\r\n",
]
ENDS = [*[b"\r\n"] * 8, b"\n", b""]


class Sent:
    """A connection on which an answer has arrived."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, _: str) -> io.BytesIO:
        """Return what has arrived."""
        return io.BytesIO(self._content)


def seen(kind: type[HTTPResponse], content: bytes, method: str) -> Any:
    """Return what a response of that kind takes an answer for, and what it leaves for the body."""
    response = kind(Sent(content), method=method)  # type: ignore[arg-type]
    try:
        response.begin()
    except HTTPException as error:
        return type(error)
    assert vars(response)["code"] == response.status
    facts = response.status, response.reason, response.version, response.length, response.chunked
    rest = None if response.fp is None else response.fp.read()
    assert response.msg is response.headers
    return *facts, response.will_close, response.headers.items(), response.headers.get_all("Set-Cookie"), rest


@pytest.mark.parametrize("seed", range(20))
def test_a_head_is_taken_for_the_same_as_by_the_library(seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(500):
        lines = dice.sample(HEADERS, dice.randint(0, 5))
        content = dice.choice(STATUS_LINES) + b"".join(lines) + dice.choice(ENDS) + b"body"
        method = dice.choice(["GET", "POST", "HEAD", "CONNECT"])
        assert seen(StrictResponse, content, method) == seen(HTTPResponse, content, method), content


@pytest.mark.parametrize("status_line", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 204 NO CONTENT\r\n"])
def test_an_ordinary_head_is_not_parsed_as_an_email(status_line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http.client, "parse_headers", None)
    length = b"Content-Length: 4\r\n" * (b"204" not in status_line)
    head = status_line + b"Date: Thu, 26 Nov 2026 12:00:00 GMT\r\nConnection: keep-alive\r\n" + length
    assert seen(StrictResponse, head + b"X-Request-Id: a\r\n\r\nbody", "POST")[-1] in (b"body", b"")

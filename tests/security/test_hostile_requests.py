"""Requests that no honest client sends, on the real server: each gets a 4xx in the shape of every error, soon.

None is answered with 500, none stores anything, and the server serves the next one as if nothing had been.
"""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.support.raw_http import HEALTH, LAST, SMUGGLED, answers, post
from tests.support.refusals import assert_refused
from tests.support.serving import PREFIX, Server
from tests.support.web import UNKNOWN_ID

HEAD = b"Host: x\r\nConnection: close\r\n\r\n"
MALFORMED: dict[str, tuple[int, bytes]] = {
    "HTTP/0.9": (400, b"GET /api/v1/health\r\n\r\n"),
    "HTTP/0.9 in words": (400, b"GET /api/v1/health HTTP/0.9\r\n" + HEAD),
    "HTTP/2": (400, b"GET /api/v1/health HTTP/2.0\r\n" + HEAD),
    "HTTP/2 preface": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"),
    "HTTP/9.9": (400, b"GET /api/v1/health HTTP/9.9\r\n" + HEAD),
    "HTTP/1.10": (400, b"GET /api/v1/health HTTP/1.10\r\n" + HEAD),
    "HTTP/01.1": (400, b"GET /api/v1/health HTTP/01.1\r\n" + HEAD),
    "HTTP/1": (400, b"GET /api/v1/health HTTP/1\r\n" + HEAD),
    "http/1.1": (400, b"GET /api/v1/health http/1.1\r\n" + HEAD),
    "superscript version": (400, b"GET /api/v1/health HTTP/1.\xb2\r\n" + HEAD),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "SSH": (400, b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "words": (400, b"hello\r\n\r\n"),
    "NULs": (400, bytes(1000) + b"\r\n\r\n"),
    "PROXY protocol": (400, b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + HEALTH + HEAD),
    "PROXY protocol 2": (400, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + HEALTH + HEAD),
    "method in small letters": (400, b"get /api/v1/health HTTP/1.1\r\n" + HEAD),
    "method of 30 letters": (400, b"G" * 30 + b" /api/v1/health HTTP/1.1\r\n" + HEAD),
    "method with a colon": (400, b"GE:T /api/v1/health HTTP/1.1\r\n" + HEAD),
    "unknown method": (405, b"BREW /api/v1/health HTTP/1.1\r\n" + HEAD),
    "TRACE": (405, b"TRACE /api/v1/health HTTP/1.1\r\n" + HEAD),
    "TRACK": (405, b"TRACK /api/v1/health HTTP/1.1\r\n" + HEAD),
    "CONNECT": (404, b"CONNECT 127.0.0.1:6379 HTTP/1.1\r\n" + HEAD),
    "asterisk": (400, b"GET * HTTP/1.1\r\n" + HEAD),
    "asterisk of OPTIONS": (404, b"OPTIONS * HTTP/1.1\r\n" + HEAD),
    "target without a slash": (400, b"GET api/v1/health HTTP/1.1\r\n" + HEAD),
    "empty target": (400, b"GET  HTTP/1.1\r\n" + HEAD),
    "target with a space": (400, b"GET /api/v1/health x HTTP/1.1\r\n" + HEAD),
    "target with NUL": (400, b"GET /api/v1/hea\0lth HTTP/1.1\r\n" + HEAD),
    "target with a raw byte": (400, b"GET /api/v1/jobs/\xff HTTP/1.1\r\n" + HEAD),
    "target with a broken address": (400, b"GET http://[::1/api/v1/health HTTP/1.1\r\n" + HEAD),
    "target after two spaces": (400, b"GET  /api/v1/health HTTP/1.1\r\n" + HEAD),
    "target after a tab": (400, b"GET\t/api/v1/health\tHTTP/1.1\r\n" + HEAD),
    "space at the end of the line": (400, b"GET /api/v1/health HTTP/1.1 \r\n" + HEAD),
    "space at the beginning": (400, b" " + HEALTH + HEAD),
    "two empty lines at the beginning": (400, b"\r\n\r\n" + HEALTH + HEAD),
    "LF at the beginning": (400, b"\n" + HEALTH + HEAD),
    "LF for every line end": (400, b"GET /api/v1/health HTTP/1.1\nHost: x\n\n"),
    "CR for every line end": (400, b"GET /api/v1/health HTTP/1.1\rHost: x\r\r\n\r\n"),
    "no colon": (400, HEALTH + b"X\r\n\r\n"),
    "empty name": (400, HEALTH + b": x\r\n\r\n"),
    "space in a name": (400, HEALTH + b"X Y: x\r\n\r\n"),
    "parenthesis in a name": (400, HEALTH + b"X(: x\r\n\r\n"),
    "CR in a value": (400, HEALTH + b"X: a\rb\r\n\r\n"),
    "NUL in a value": (400, HEALTH + b"X: a\0b\r\n\r\n"),
    "DEL in a value": (400, HEALTH + b"X: a\x7fb\r\n\r\n"),
    "escape in a value": (400, HEALTH + b"X: \x1b[31m\r\n\r\n"),
    "continued header": (400, HEALTH + b"X: a\r\n b\r\n\r\n"),
    "continued request line": (400, b"GET /api/v1/health HTTP/1.1\r\n Host: x\r\n\r\n"),
    "unknown expectation": (417, post(b"Expect: miracles", b"Content-Length: 0")),
    "long line": (414, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HEAD),
    "id of a megabyte": (414, b"GET /api/v1/jobs/" + b"a" * 2**20 + b" HTTP/1.1\r\n" + HEAD),
    "line without end": (414, b"GET /" + b"a" * 2**20),
    "long header": (431, HEALTH + b"X: " + b"a" * 9000 + b"\r\n\r\n"),
    "header without end": (431, HEALTH + b"X: " + b"a" * 2**20),
    "many headers": (431, HEALTH + b"".join(b"X%d: a\r\n" % number for number in range(200)) + b"\r\n"),
    "headers without end": (431, HEALTH + b"X: a\r\n" * 30_000),
    "websocket": (400, HEALTH + b"Upgrade: websocket\r\n" + b"Connection: Upgrade\r\n\r\n" + LAST),
}  # fmt: skip
"""Requests with the status of their answer."""

NUMBERS = [
    "1e3", "+5", "-1", "-0", "1_0", "١٢", "²", "1.0", "0x10", " 5", "5\n", "5\0", "9" * 23, "9" * 5000, str(2**63),
    "NaN", "Infinity", "1e999", "--1", "1;", "1 OR 1=1", "[]", "null",
]  # fmt: skip


@pytest.mark.parametrize(("status", "request_"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_is_refused(served: Server, status: int, request_: bytes) -> None:
    assert_refused(served, request_, status)


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: ascii(number)[:30])
@pytest.mark.parametrize("path", ["?limit=", "?offset=", "?cursor=", f"/{UNKNOWN_ID}/output?offset="])
def test_a_hostile_number_is_refused(served: Server, path: str, number: str) -> None:
    assert_refused(served, f"GET {PREFIX}/jobs{path}{quote(number)} HTTP/1.1\r\n".encode() + HEAD, 400)


def test_a_hostile_request_with_another_one_behind_it_ends_the_connection(served: Server) -> None:
    for name, (status, request_) in MALFORMED.items():
        if status in (400, 414, 417, 431) and name != "websocket":
            assert len(answers(served.send(request_ + SMUGGLED))) == 1, name
    assert served.call("GET", "/jobs").headers["X-Total-Count"] == "0"

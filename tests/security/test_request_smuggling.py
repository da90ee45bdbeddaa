"""A request must end where every reader sees its end: what follows it is neither lost nor served in its name.

After each request below comes another one. Where the first is ambiguous it is refused, and the connection is closed.
Where it is not, the second is served as a request of its own, whatever the body of the first one held.
"""

from __future__ import annotations

import json

import pytest

from tests.support.raw_http import CHUNKS, CLAIM, HEALTH, LAST, SMUGGLED, answers, post, sized
from tests.support.serving import Server

TE = b"Transfer-Encoding: chunked"
LENGTH = b"Content-Length: %d" % len(CLAIM)
GET_WITH_A_BODY = HEALTH + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED


def chunks(size: bytes = b"1a", data: bytes = CLAIM, end: bytes = b"\r\n", last: bytes = b"0\r\n\r\n") -> bytes:
    """Return a claim in one chunk with this line before it and this end."""
    return post(TE, body=size + b"\r\n" + data + end + last)


REFUSED: dict[str, tuple[int, bytes]] = {
    "length and chunks": (400, post(b"Content-Length: 5", TE, body=CHUNKS)),
    "chunks and length": (400, post(TE, b"Content-Length: 5", body=CHUNKS)),
    "no length and chunks": (400, post(b"Content-Length: 0", TE, body=CHUNKS)),
    "right length and chunks": (400, post(TE, b"Content-Length: %d" % len(CHUNKS), body=CHUNKS)),
    "two lengths": (400, post(LENGTH, b"Content-Length: 20", body=CLAIM)),
    "one length twice": (400, post(LENGTH, LENGTH, body=CLAIM)),
    "a list of lengths": (400, post(LENGTH + b", 26", body=CLAIM)),
    "negative length": (400, post(b"Content-Length: -26", body=CLAIM)),
    "length with a sign": (400, post(b"Content-Length: +26", body=CLAIM)),
    "length with an underscore": (400, post(b"Content-Length: 2_6", body=CLAIM)),
    "length with a space": (400, post(b"Content-Length: 2 6", body=CLAIM)),
    "length with a point": (400, post(b"Content-Length: 26.0", body=CLAIM)),
    "hexadecimal length": (400, post(b"Content-Length: 0x1a", body=CLAIM)),
    "empty length": (400, post(b"Content-Length:", body=CLAIM)),
    "superscript length": (400, post(b"Content-Length: \xb2", body=CLAIM)),
    "fraction": (400, post(b"Content-Length: \xbc", body=CLAIM)),
    "Arabic length": (400, post("Content-Length: ٢٦".encode(), body=CLAIM)),
    "length of 5,000 digits": (400, post(b"Content-Length: " + b"0" * 5000 + b"26", body=CLAIM)),
    "length beyond 64 bits": (413, post(b"Content-Length: %d" % (2**64 + len(CLAIM)), body=CLAIM)),
    "length beyond 63 bits": (413, post(b"Content-Length: %d" % 2**63, body=CLAIM)),
    "space before the colon of a length": (400, post(b"Content-Length : 26", body=CLAIM)),
    "space before the colon": (400, post(b"Transfer-Encoding : chunked", body=CHUNKS)),
    "tab before the colon": (400, post(b"Transfer-Encoding\t: chunked", body=CHUNKS)),
    "space before the name": (400, post(b" Transfer-Encoding: chunked", body=CHUNKS)),
    "folded header": (400, post(b"Transfer-Encoding:\r\n chunked", body=CHUNKS)),
    "folded length": (400, post(b"Content-Length: 2\r\n 6", body=CLAIM)),
    "vertical tab": (400, post(b"Transfer-Encoding: \x0bchunked", body=CHUNKS)),
    "NUL behind the coding": (400, post(TE + b"\x00", body=CHUNKS)),
    "NUL in a name": (400, post(b"Transfer-Encoding\x00: chunked", body=CHUNKS)),
    "coding in a name with an accent": (400, post(b"Transfer-Encoding\xe9: chunked", body=CHUNKS)),
    "chunked twice": (400, post(TE, TE, body=CHUNKS)),
    "chunked, chunked": (400, post(TE + b", chunked", body=CHUNKS)),
    "chunked, identity": (400, post(TE + b", identity", body=CHUNKS)),
    "chunked, gzip": (400, post(TE + b", gzip", body=CHUNKS)),
    "identity": (400, post(b"Transfer-Encoding: identity", LENGTH, body=CLAIM)),
    "gzip": (400, post(b"Transfer-Encoding: gzip", LENGTH, body=CLAIM)),
    "identity, chunked": (501, post(b"Transfer-Encoding: identity, chunked", body=CHUNKS)),
    "gzip, chunked": (501, post(b"Transfer-Encoding: gzip, chunked", body=CHUNKS)),
    "identity and chunked": (501, post(b"Transfer-Encoding: identity", TE, body=CHUNKS)),
    "unknown coding": (501, post(b"Transfer-Encoding: xchunked", body=CHUNKS)),
    "quoted coding": (501, post(b'Transfer-Encoding: "chunked"', body=CHUNKS)),
    "coding with a parameter": (501, post(TE + b";q=1", body=CHUNKS)),
    "coding and a comma": (501, post(TE + b",", body=CHUNKS)),
    "comma and a coding": (501, post(b"Transfer-Encoding: , chunked", body=CHUNKS)),
    "empty coding": (501, post(b"Transfer-Encoding:", body=CHUNKS)),
    "chunks in HTTP/1.0": (400, post(TE, body=CHUNKS, version=b"1.0")),
    "chunks in HTTP/1.0, kept": (400, post(TE, b"Connection: keep-alive", body=CHUNKS, version=b"1.0")),
    "CR in a value": (400, post(b"X: y\r" + TE, body=CHUNKS)),
    "LF in a value": (400, post(b"X: y\n" + TE, body=CHUNKS)),
    "LF after a chunk size": (400, chunks(b"1a\n" + CLAIM)),
    "LF for every line end": (400, post(TE, body=CHUNKS.replace(b"\r\n", b"\n"))),
    "CR for every line end": (400, post(TE, body=CHUNKS.replace(b"\r\n", b"\r"))),
    "chunk size with 0x": (400, chunks(b"0x1a")),
    "chunk size with a sign": (400, chunks(b"+1a")),
    "negative chunk size": (400, chunks(b"-1a")),
    "chunk size with an underscore": (400, chunks(b"1_a")),
    "space before a chunk size": (400, chunks(b" 1a")),
    "space after a chunk size": (400, chunks(b"1a ")),
    "no chunk size": (400, chunks(b"")),
    "chunk size beyond 64 bits": (400, chunks(b"1000000000000001a")),
    "chunk size beyond 32 bits": (400, chunks(b"10000001a")),
    "chunk size of 5,000 digits": (400, chunks(b"f" * 5000)),
    "LF in a chunk extension": (400, chunks(b"1a;a\nb")),
    "CR in a chunk extension": (400, chunks(b"1a;a\rb")),
    "NUL in a chunk extension": (400, chunks(b"1a;a\x00")),
    "open quotes in a chunk extension": (400, chunks(b'1a;a="b')),
    "more than a chunk": (400, chunks(data=CLAIM + b"xx")),
    "less than a chunk": (400, chunks(data=CLAIM[:-2])),
    "LF after a chunk": (400, chunks(end=b"\n")),
    "nothing after a chunk": (400, chunks(end=b"")),
    "LF after the last chunk": (400, chunks(last=b"0\n\n")),
    "LF after a trailer": (400, chunks(last=b"0\r\nX: y\n\r\n")),
    "a length as a trailer": (400, chunks(last=b"0\r\nContent-Length: 5\r\n\r\n")),
    "chunks as a trailer": (400, chunks(last=b"0\r\nTransfer-Encoding: chunked\r\n\r\n")),
    "a token as a trailer": (400, chunks(last=b"0\r\nAuthorization: Bearer x\r\n\r\n")),
    "a trailer without a colon": (400, chunks(last=b"0\r\nX\r\n\r\n")),
    "trailers without end": (400, chunks(last=b"0\r\n" + b"X: y\r\n" * 200 + b"\r\n")),
    "another host in the target": (400, b"GET http://y/api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a user in the target": (400, b"GET http://x@y/api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n"),
    "another scheme": (400, b"GET file://x/api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n"),
    "an absolute target without a host": (400, b"GET http:///api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a target with a fragment": (400, b"GET /api/v1/health#x HTTP/1.1\r\nHost: x\r\n\r\n"),
    "two hosts": (400, HEALTH + b"Host: y\r\n\r\n"),
    "one host twice": (400, HEALTH + b"Host: x\r\n\r\n"),
    "two content types": (400, post(b"Content-Type: text/plain", LENGTH, body=CLAIM)),
}  # fmt: skip

SERVED: dict[str, tuple[list[int], bytes]] = {
    "length": ([204], post(LENGTH, body=CLAIM)),
    "length with zeros": ([204], post(b"Content-Length: 0026", body=CLAIM)),
    "chunks": ([204], post(TE, body=CHUNKS)),
    "chunks in capitals": ([204], post(TE.upper(), body=CHUNKS)),
    "tab behind the colon": ([204], post(b"Transfer-Encoding:\tchunked", body=CHUNKS)),
    "chunk size with zeros": ([204], chunks(b"0001a")),
    "chunk extension": ([204], chunks(b'1a;a=b;c="d;\\"e"')),
    "trailer": ([204], chunks(last=b"0\r\nX: y\r\n\r\n")),
    "chunks and an underscore": ([204], post(b"Content_Length: 5", TE, body=CHUNKS)),
    "length and an underscore": ([204], post(b"Transfer_Encoding: chunked", LENGTH, body=CLAIM)),
    "a header that hides a length from the next hop": ([204], post(b"Connection: Content-Length", LENGTH, body=CLAIM)),
    "body of a GET": ([200], GET_WITH_A_BODY),
    "body that is not JSON": ([400], sized(SMUGGLED)),
    "body that is not accepted": ([415], sized(SMUGGLED).replace(b"application/json", b"text/plain", 1)),
    "body for no path": ([404], sized(SMUGGLED, path=b"/api/v1/nowhere")),
    "body for another method": ([405], sized(SMUGGLED, path=b"/api/v1/health")),
    "body of a HEAD": ([200], GET_WITH_A_BODY.replace(b"GET", b"HEAD")),
    "expected body": ([100, 204], post(b"Expect: 100-continue", LENGTH, body=CLAIM)),
    "upgrade to HTTP/2": ([200], HEALTH + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
    "absolute target": ([200], b"GET http://x/api/v1/health HTTP/1.1\r\nHost: X\r\n\r\n"),
    "version 1.2": ([200], b"GET /api/v1/health HTTP/1.2\r\nHost: x\r\n\r\n"),
}  # fmt: skip

CLOSED: dict[str, tuple[int, bytes]] = {
    "chunks of a GET": (200, HEALTH + TE + b"\r\n\r\n%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n0\r\n\r\n"),
    "chunks for no path": (404, post(TE, body=b"%x\r\n" % len(SMUGGLED) + SMUGGLED, path=b"/api/v1/nowhere")),
    "long body for no path": (404, sized(SMUGGLED.ljust(100_000), path=b"/api/v1/nowhere")),
    "body that is too long": (413, post(b"Content-Length: 99999999", body=SMUGGLED)),
    "tunnel": (404, b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n"),
    "HTTP/1.0": (200, b"GET /api/v1/health HTTP/1.0\r\nHost: x\r\n\r\n"),
}  # fmt: skip
"""Requests whose rest nobody reads, so that the connection ends with the answer."""


@pytest.mark.parametrize(("status", "request_"), REFUSED.values(), ids=REFUSED)
def test_an_ambiguous_request_is_refused_and_its_connection_closed(
    served: Server, status: int, request_: bytes
) -> None:
    (answer,) = answers(served.send(request_ + SMUGGLED))
    assert answer.status == status
    assert list(json.loads(answer.body)) == ["error", "context"]
    assert_nothing_is_stored(served)


@pytest.mark.parametrize(("statuses", "request_"), SERVED.values(), ids=SERVED)
def test_what_follows_a_request_is_served_as_a_request_of_its_own(
    served: Server, statuses: list[int], request_: bytes
) -> None:
    found = answers(served.send(request_ + LAST), heads_only=request_.startswith(b"HEAD"))
    assert [answer.status for answer in found] == [*statuses, 200]
    assert_nothing_is_stored(served)


@pytest.mark.parametrize(("status", "request_"), CLOSED.values(), ids=CLOSED)
def test_nothing_is_served_after_a_body_that_is_not_read(served: Server, status: int, request_: bytes) -> None:
    (answer,) = answers(served.send(request_ + SMUGGLED))
    assert answer.status == status
    assert_nothing_is_stored(served)


def assert_nothing_is_stored(served: Server) -> None:
    """Check that the server answers, and that no job has come about."""
    assert served.call("GET", "/jobs").headers["X-Total-Count"] == "0"

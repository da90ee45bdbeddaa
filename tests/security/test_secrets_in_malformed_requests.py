"""A request that is not HTTP may hold secrets all the same: neither its answer nor the log quotes it."""

from __future__ import annotations

import pytest

from tests.support.serving import Server

CANARY = b"canary-d41d8cd98f"
HEALTH = b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n"
SUBMIT = b"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
BODY = b'{"env_variables":{"PASSWORD":"%s"}}\r\n\r\n' % CANARY
MALFORMED = {
    "a body without a length, which is read as the next request": SUBMIT + b"\r\n" + BODY,
    "a body with a length that is too short": SUBMIT + b"Content-Length: 2\r\n\r\n{}" + BODY,
    "a token in a header without a colon": HEALTH + b"Authorization Bearer " + CANARY + b"\r\n\r\n",
    "a token in the name of a header": HEALTH + b"Bearer " + CANARY + b": x\r\n\r\n",
    "a token with a control character": HEALTH + b"Authorization: Bearer \x01" + CANARY + b"\r\n\r\n",
    "a token on a continued line": HEALTH + b"Authorization:\r\n Bearer " + CANARY + b"\r\n\r\n",
    "a token in the method": CANARY + b" /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n",
    "a token in a request line that is cut off": b"GET /api/v1/health?token=" + CANARY + b"\r\n\r\n",
    "a token in the version": b"GET /api/v1/health HTTP/" + CANARY + b"\r\nHost: x\r\n\r\n",
    "an expectation": HEALTH + b"Expect: " + CANARY + b"\r\n\r\n",
    "a transfer coding": SUBMIT + b"Transfer-Encoding: " + CANARY + b"\r\n\r\n",
    "the size of a chunk": SUBMIT + b"Transfer-Encoding: chunked\r\n\r\n" + CANARY + b"\r\n\r\n",
    "the end of a chunk": SUBMIT + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}" + CANARY + b"\r\n\r\n",
    "a trailer": SUBMIT + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" + CANARY + b"\r\n\r\n",
}


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_is_not_quoted(served: Server, request_: bytes) -> None:
    answer = served.send(request_)
    assert b"HTTP/1.1 4" in answer or b"HTTP/1.1 5" in answer, answer
    assert CANARY not in answer
    assert served.log
    assert CANARY.decode() not in served.log

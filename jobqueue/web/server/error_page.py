"""Answers to requests that never reach Flask, in the shape of every other error."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from gunicorn.http.errors import (
    ExpectationFailed,
    ForbiddenProxyRequest,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)

from jobqueue.errors import ServerBusy, Unauthenticated
from jobqueue.web.perimeter import answer_headers
from jobqueue.web.server.strict_http import UnreadableToken

RETRY_AFTER_SECONDS = 2
REFUSALS: dict[type[ParseException], tuple[int, str]] = {
    LimitRequestLine: (414, "URI Too Long"),
    LimitRequestHeaders: (431, "Request Header Fields Too Large"),
    ExpectationFailed: (417, "Expectation Failed"),
    UnsupportedTransferCoding: (501, "Unsupported transfer coding"),
    ForbiddenProxyRequest: (403, "Forbidden"),
    UnreadableToken: (401, "This API token cannot be read: it is too long, or has characters that no token has"),
}
"""The answers to requests that gunicorn cannot parse; 400 to all others."""


def refuse(connection: Any, log: Any, error: ParseException) -> None:
    """Answer a request that gunicorn could not parse, and log the kind of its fault.

    gunicorn would log what it could not parse. That may be a token in a malformed header, or, after a wrong length, the
    body of a job.
    """
    status, reason = REFUSALS.get(type(error), (400, "Bad Request"))
    address = connection.address[0] if connection.address else "a Unix socket"
    log.warning("Invalid request from ip=%s: %s", address, type(error).__name__)
    write_error(connection, status, reason, "")


def write_error(client: socket.socket, status: int, reason: str, message: str) -> None:  # noqa: ARG001  # gunicorn passes it
    """Answer a request that gunicorn refuses before Flask sees it.

    Such a request is not HTTP, its request line or headers are too long, or they took too long to arrive. This replaces
    `gunicorn.util.write_error`, which answers in HTML, and has its signature. `message` may quote the request, so it is
    not part of the answer.
    """
    is_challenge = status == HTTPStatus.UNAUTHORIZED
    body = _body(reason, **({"code": Unauthenticated.code} if is_challenge else {}))
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Connection: close"]
    lines += ["WWW-Authenticate: Bearer"] if is_challenge else []
    lines += [f"{name}: {value}" for name, value in _headers(body).items()]
    client.sendall("\r\n".join([*lines, "", ""]).encode() + body)


def answer_busy(start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer, as a WSGI app, that too many requests are waiting."""
    body = _body("The server is busy", code=ServerBusy.code)
    headers = {**_headers(body), "Retry-After": str(RETRY_AFTER_SECONDS)}
    start_response("503 Service Unavailable", list(headers.items()))
    return [body]


def _headers(body: bytes) -> dict[str, str]:
    return {"Content-Type": "application/json", "Content-Length": str(len(body)), **answer_headers.of_any_answer()}


def _body(reason: str, **context: str) -> bytes:
    return json.dumps({"error": reason, "context": context}).encode()

"""Answers to requests that never reach Flask, in the shape of every other error."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable
from http import HTTPStatus

from jobqueue.errors import ServerBusy
from jobqueue.web.perimeter import answer_headers

RETRY_AFTER_SECONDS = 2


def write_error(client: socket.socket, status: int, reason: str, message: str) -> None:  # noqa: ARG001  # gunicorn passes it
    """Answer a request that gunicorn refuses before Flask sees it.

    Such a request is not HTTP, its request line or headers are too long, or they took too long to arrive. This replaces
    `gunicorn.util.write_error`, which answers in HTML, and has its signature. `message` quotes the request, so it is
    not part of the answer.
    """
    body = _body(reason)
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Connection: close"]
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

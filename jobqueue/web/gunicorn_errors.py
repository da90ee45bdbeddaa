"""The answer to a request that gunicorn refuses before Flask sees it, in the shape of every other error."""

from __future__ import annotations

import json
import socket
from http import HTTPStatus

from gunicorn.util import write_nonblock


def write_error(client: socket.socket, status: int, reason: str, message: str) -> None:  # noqa: ARG001  # gunicorn passes it
    """Answer a request that is not HTTP, or whose request line or headers are too long.

    This replaces `gunicorn.util.write_error`, which answers in HTML, and has its signature. `message` quotes the
    request, so it is not sent back.
    """
    body = json.dumps({"error": reason, "context": {}}).encode()
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    write_nonblock(client, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

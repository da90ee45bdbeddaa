"""What gunicorn answers before Flask sees a request, in the shape of every other error."""

from __future__ import annotations

import json
import socket
from http import HTTPStatus

from gunicorn.util import write_nonblock


def write_error(client: socket.socket, status: int, reason: str, message: str) -> None:  # noqa: ARG001  # it stays in the log
    """Answer a request that is no HTTP, or whose line or headers are too long. Takes the place of gunicorn's HTML.

    The signature is that of `gunicorn.util.write_error`; `message` quotes the request.
    """
    body = json.dumps({"error": reason, "context": {}}).encode()
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    write_nonblock(client, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

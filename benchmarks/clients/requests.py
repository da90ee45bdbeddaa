"""HTTP over one connection, and the bodies of the jobs that are submitted."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any

PREFIX = "/api/v1"
JSON = {"Content-Type": "application/json"}
SHA256 = "ab" * 32
IDLE_SECONDS = 30.0

REFERENCE: dict[str, Any] = {
    "type": "data-processing",
    "binary_url": "https://example.com/binary",
    "binary_sha256": SHA256,
    "arguments": ["arg1", "arg2"],
    "env_variables": {"KEY1": "value1", "KEY2": "value2"},
    "priority": "background",
}
"""The job of the API's documentation."""


@dataclass(frozen=True)
class Answer:
    """A status, and the content of the body."""

    status: int
    body: bytes
    headers: http.client.HTTPMessage

    def json(self) -> Any:
        """Return the body, read as JSON."""
        return json.loads(self.body)


class Refused(Exception):
    """The API has answered with another status than was expected. The message has the answer."""


class Connection:
    """A connection that is kept open, for one request after another."""

    def __init__(self, port: int, seconds: float = 60.0) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
        self._used_at = time.monotonic()

    def get(self, path: str) -> Answer:
        """Send a GET request."""
        return self.send("GET", path)

    def send(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """Send a request with a body that is JSON already."""
        if time.monotonic() - self._used_at > IDLE_SECONDS:  # the server closes it soon, or has done so
            self._http.close()
        self._http.request(method, PREFIX + path, body, JSON if body is not None else {})
        self._used_at = time.monotonic()
        response = self._http.getresponse()
        return Answer(response.status, response.read(), response.headers)

    def call(self, method: str, path: str, content: object = None) -> Any:
        """Send a request and return what it was answered, None if that is nothing. Raises Refused for 3xx to 5xx."""
        answer = self.send(method, path, None if content is None else json.dumps(content).encode())
        if answer.status >= 300:
            raise Refused(f"{method} {path}: {answer.status} {answer.body[:300].decode(errors='replace')}")
        return answer.json() if answer.body else None

    def close(self) -> None:
        """Close it."""
        self._http.close()


def request_bytes(method: str, path: str, content: object = None) -> bytes:
    """Return a request as it is sent over a socket."""
    body = b"" if content is None else json.dumps(content).encode()
    head = f"{method} {PREFIX}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if content is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def submit_all(connection: Connection, jobs: list[dict[str, Any]], at_once: int = 1000) -> None:
    """Submit jobs in bulk."""
    for first in range(0, len(jobs), at_once):
        connection.call("POST", "/jobs/bulk", jobs[first : first + at_once])

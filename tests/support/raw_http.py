"""Requests written byte by byte, and the answers to all requests of a connection, one by one."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.support.bench import SHA256

CLAIM = b'{"executor_id":"worker-1"}'
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(CLAIM), CLAIM)
HEALTH = b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n"
LAST = HEALTH + b"Connection: close\r\n\r\n"
"""A request after which the server closes the connection."""


def post(*headers: bytes, body: bytes = b"", path: bytes = b"/api/v1/jobs/claim", version: bytes = b"1.1") -> bytes:
    """Return a request with these headers beside those that it needs. It has a length only if one of them says it."""
    lines = [b"POST %s HTTP/%s" % (path, version), b"Host: x", b"Content-Type: application/json", *headers]
    return b"\r\n".join([*lines, b"", body])


def sized(body: bytes, *headers: bytes, path: bytes = b"/api/v1/jobs/claim") -> bytes:
    """Return a request with this body and its length."""
    return post(*headers, b"Content-Length: %d" % len(body), body=body, path=path)


SUBMITTED = {"type": "smuggled", "binary_url": "http://h/x", "binary_sha256": SHA256, "priority": "background"}
SMUGGLED = sized(json.dumps(SUBMITTED).encode(), path=b"/api/v1/jobs")
"""A request that stores a job if it is served."""


@dataclass(frozen=True)
class Answer:
    """One answer of the server."""

    status: int
    head: bytes
    body: bytes


def answers(received: bytes, heads_only: int = 0) -> list[Answer]:
    """Return the answers in what came on a connection; the first `heads_only` of them are those to HEAD requests."""
    found: list[Answer] = []
    while received:
        head, end, received = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1."), head[:200]
        assert end, head[:200]
        status = int(head.split(b" ")[1])
        lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        has_body = len(found) >= heads_only and status not in (100, 204, 304)
        size = int(lengths[0]) if has_body else 0
        found.append(Answer(status, head, received[:size]))
        assert len(found[-1].body) == size
        received = received[size:]
    return found

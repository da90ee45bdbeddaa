"""The id of a request: in its answer, and on every line that is logged for it.

A client that sends one finds its request in the log of the server; so do proxies that make one for each request.
"""

from __future__ import annotations

import re
import secrets

from jobqueue import logs

HEADER = "X-Request-Id"
PATTERN = "^[A-Za-z0-9._-]{1,128}$"
_valid = re.compile(PATTERN[1:-1])


def begin(sent: str | None) -> None:
    """Begin a request in this greenlet, with the id that the client sent, or with a new one if that is no valid id."""
    logs.request_id.set(sent if sent and _valid.fullmatch(sent) else new())


def end() -> None:
    """End the request of this greenlet: what is logged from here on belongs to none."""
    logs.request_id.set("")


def current() -> str:
    """Return the id of this greenlet's request, "" if there is none."""
    return logs.request_id.get()


def new() -> str:
    """Return a new id."""
    return secrets.token_hex(16)

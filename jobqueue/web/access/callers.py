"""The caller of a request: who it is by its token, and what it may do."""

from __future__ import annotations

from dataclasses import dataclass

from flask.globals import request_ctx

from jobqueue.access.entries import Entry
from jobqueue.access.scopes import ALL_SCOPES, Scope

EVERYBODY = Entry("", ALL_SCOPES, b"")
"""What stands for the token of a request to an open API."""

NOBODY = Entry("", frozenset(), b"")
"""What stands for the token of a request that was let through without one: to `/health`, for example."""


@dataclass(frozen=True)
class Caller:
    """Who has sent a request.

    name: the name of its token, "" on an open API and where no token is needed. scopes: what it may do; everything on
    an open API. address: where the request came from, None for a Unix socket.
    """

    name: str
    scopes: frozenset[Scope]
    address: str | None

    def may(self, scope: Scope) -> bool:
        """Whether it has this scope."""
        return scope in self.scopes


def caller() -> Caller:
    """Return the caller of this request."""
    received = request_ctx.request
    entry = entry_of_request()
    return Caller(entry.name, entry.scopes, received.remote_addr)


def entry_of_request() -> Entry:
    """Return the entry of the token with which this request came."""
    entry: Entry = vars(request_ctx.request).get("entry", NOBODY)
    return entry

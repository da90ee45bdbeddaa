"""Checks the token of every request, before its body is read and before the queue is asked anything.

It runs for unknown paths and wrong methods, too: without a token, nobody learns which routes or jobs there are.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping

from flask import Flask, Request
from flask.globals import request_ctx
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import Rule

from jobqueue.access.entries import Entry
from jobqueue.access.scopes import Scope
from jobqueue.access.tokens import digest_of, is_mistyped
from jobqueue.errors import Forbidden, Unauthenticated
from jobqueue.web.access.callers import EVERYBODY, NOBODY, entry_of_request
from jobqueue.web.access.needs import ADMIN, METRICS, NOTHING, TOKEN, Need
from jobqueue.web.access.policy import Access
from jobqueue.web.services import services

SCHEME = "bearer"
UNKNOWN = "This API token is not valid: it was never configured here, or has been removed"
MISTYPED = "This API token is mistyped: a part is missing or wrong, as its checksum shows"
OTHER_SCHEME = "This API needs a token: the header Authorization must be `Bearer <token>`"


def install(app: Flask, access: Access, needs: Mapping[str, Need]) -> None:
    """Check every request of the app. `needs` says what each endpoint needs; one that it does not name needs `admin`,
    so that a route for which it was forgotten is closed.
    """
    app.before_request(_checking(access, needs))


def _checking(access: Access, needs: Mapping[str, Need]) -> Callable[[], None]:
    """Return the function that checks a request. Raises Unauthenticated, Forbidden."""

    def check() -> None:
        received = request_ctx.request
        received.entry = _entry(received, access, _need(received, needs))  # type: ignore[attr-defined]

    return check


def _need(received: Request, needs: Mapping[str, Need]) -> Need:
    """Return what a request needs.

    OPTIONS is about a path, which may have routes with different needs, and so is a method that the path does not have:
    their answers name its methods. They need nothing if the path is open, else any token.
    """
    rule = received.url_rule or _rule_of_path(received)
    need = TOKEN if rule is None else needs.get(rule.endpoint, ADMIN)
    is_about_path = received.url_rule is None or received.method == "OPTIONS"
    return TOKEN if is_about_path and isinstance(need, Scope) else need


def _rule_of_path(received: Request) -> Rule | None:
    """Return a route of the path of a request whose method the path does not have, None for an unknown path."""
    problem, adapter = received.routing_exception, request_ctx.url_adapter
    if not isinstance(problem, MethodNotAllowed) or not problem.valid_methods or adapter is None:
        return None
    rule, _ = adapter.match(method=min(problem.valid_methods), return_rule=True)
    return rule


def _entry(received: Request, access: Access, need: Need) -> Entry:
    """Return the entry of the request's token, or what stands for it where none is needed."""
    if need is METRICS:
        return _entry_for_metrics(received, access)
    if access.is_open:
        return EVERYBODY
    return NOBODY if need is NOTHING else _allowed(received, access, need)


def _entry_for_metrics(received: Request, access: Access) -> Entry:
    if not access.metrics_digest or hmac.compare_digest(digest_of(_token(received)), access.metrics_digest):
        return NOBODY
    return _allowed(received, access, ADMIN)


def _allowed(received: Request, access: Access, need: Need) -> Entry:
    token = _token(received)
    entry = access.keyring.find(token)
    if entry is None:
        # Only now, so that a token of another form may be configured, too: the digest decides, and the form explains.
        raise Unauthenticated(MISTYPED if is_mistyped(token.decode("latin-1")) else UNKNOWN)
    if need is not TOKEN and need not in entry.scopes:
        raise Forbidden(f"This API token does not allow this: it needs the scope {need}", scope=str(need))
    return entry


def _token(received: Request) -> bytes:
    """Return the token that a request was sent with. Raises Unauthenticated if it has none.

    The header holds whatever a client has sent, and if there were two, both with a comma between. Nothing but its
    scheme is looked at: a token that is not exactly one of those that are configured has another digest.
    """
    header = received.environ.get("HTTP_AUTHORIZATION")
    if header is None:
        raise Unauthenticated
    scheme, _, token = header.partition(" ")
    if scheme.lower() != SCHEME or not token:
        raise Unauthenticated(OTHER_SCHEME)
    # WSGI has a character for each byte of a header.
    return bytes(token.lstrip(" ").encode("latin-1"))


def check_again() -> None:
    """Check the token of a request again that has waited: for its body, or for something to happen.

    Raises Unauthenticated if the token was removed or changed meanwhile.
    """
    entry = entry_of_request()
    if entry.name and not services().access.keyring.still_has(entry):
        raise Unauthenticated(UNKNOWN)


def is_still_valid(access: Access, entry: Entry) -> bool:
    """Return whether a token with which a request came may be used now."""
    return not entry.name or access.keyring.still_has(entry)

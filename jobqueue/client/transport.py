"""One HTTP request to the API: JSON in, JSON out, and two errors, for no answer and for a refusal."""

from __future__ import annotations

import json
from contextlib import suppress
from http import HTTPStatus
from threading import Event
from typing import IO, Any

from jobqueue.client.exchange import Answer, Exchanges, Request, Withdrawn
from jobqueue.client.token import Token
from jobqueue.client.unavailable import ApiUnavailable, TokenRefused
from jobqueue.net.network import Network
from jobqueue.net.statuses import is_retryable
from jobqueue.redaction import without_secrets

__all__ = [
    "ANSWER_SECONDS",
    "CONNECT_SECONDS",
    "ApiRefused",
    "ApiUnavailable",
    "Request",
    "TokenRefused",
    "Transport",
    "Withdrawn",
]

CONNECT_SECONDS = 3.05
"""Time limit of connecting to one of the API's addresses."""
ANSWER_SECONDS = 10.0
"""Time limit of a request, unless the caller sets another one."""
UNREAD = ("unknown_host", "cross_origin")
"""The codes of an API that does not know the host in API_URL, or is behind a proxy that changes headers. It has not
looked at the request, and its operator can put that right: no result must be dropped meanwhile.
"""
LONGEST_SHOWN = 500
"""How much of a server's message or URL is repeated, in characters."""


class ApiRefused(Exception):
    """The API refused a request, and would refuse it again.

    `status` is the HTTP status, `error` the message, `context` the details that the API gives.
    """

    def __init__(self, status: int, error: str, context: dict[str, Any]) -> None:
        super().__init__(f"{status}: {error}")
        self.status = status
        self.error = error
        self.context = context


class Transport:
    """Requests to one API over a kept connection. For one thread at a time.

    Passwords in `.netrc` are not used: they would go to whoever answers. Every method that sends a request raises
    TokenRefused, which is an ApiUnavailable, when the API refuses the token.
    """

    def __init__(
        self,
        api_url: str,
        network: Network | None = None,
        connect_seconds: float = CONNECT_SECONDS,
        token: Token | None = None,
    ) -> None:
        self._shown_url = without_secrets(api_url.rstrip("/"))
        self._token = token or Token()
        self._exchanges = Exchanges(api_url.rstrip("/"), network or Network(), connect_seconds, self._token)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        within_seconds: float = ANSWER_SECONDS,
    ) -> Any:
        """Send a request with this body, as JSON; return the decoded body of the answer, None when it has none.

        Gives up after `within_seconds`. A request that is not a GET is sent once. Raises ApiUnavailable, ApiRefused.
        """
        content = None if body is None else json.dumps(body, allow_nan=False).encode()
        return self._decode(self._exchanges.ask(Request(method, path, content, method == "GET"), within_seconds))

    def send(self, method: str, path: str, body: IO[bytes], within_seconds: float = ANSWER_SECONDS) -> Any:
        """Send a request whose body is the JSON in a file, without ever holding it whole; return what `call` returns.

        The request must be one that may be sent twice: if the first connection passes nothing, it is sent again at once
        on another one, within the same time limit. Raises ApiUnavailable, ApiRefused.
        """
        return self._decode(self._exchanges.ask(Request(method, path, body, repeatable=True), within_seconds))

    def ask(
        self, request: Request, within_seconds: float = ANSWER_SECONDS, withdrawn: Event | None = None
    ) -> tuple[Any, float]:
        """Send a request; return what `call` returns, and for how many seconds the API has held the request before it
        acted on it. Raises Withdrawn, too: soon after the event is set.
        """
        answer = self._exchanges.ask(request, within_seconds, withdrawn)
        return self._decode(answer), answer.held_seconds

    def _decode(self, answer: Answer) -> Any:
        """Return the body of a success; raise ApiUnavailable for a status that may pass, ApiRefused for a refusal.

        Anything else was sent by another server, such as a proxy. A proxy's 404 must not make a worker believe that its
        job is gone. So a refusal counts only when it has the shape of the API's.
        """
        status, body = answer.status, _parsed(answer.content)
        fields = body if isinstance(body, dict) else {}
        error, context = fields.get("error"), fields.get("context")
        if is_retryable(status):
            message = f" ({error[:LONGEST_SHOWN]})" if isinstance(error, str) else ""
            # A 503 says when the API may be back. That is a guess, and callers have pauses that fit an outage. But a
            # 429 is about the caller: asking sooner is useless.
            pause = max(answer.retry_after_seconds, 1) if status == HTTPStatus.TOO_MANY_REQUESTS else 0.0
            raise ApiUnavailable(f"{status}{message} from {self._shown_url}", pause)
        if status == HTTPStatus.NO_CONTENT:
            self._token.note_accepted()
            return None
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES and not isinstance(body, bytes | None):
            self._token.note_accepted()
            return body
        if status < HTTPStatus.BAD_REQUEST or not isinstance(error, str) or not isinstance(context, dict):
            raise self._foreign(answer)
        if context.get("code") in UNREAD:
            raise ApiUnavailable(f"{status} ({error[:LONGEST_SHOWN]}) from {self._shown_url}")
        if status == HTTPStatus.UNAUTHORIZED or (status == HTTPStatus.FORBIDDEN and context.get("code") == "forbidden"):
            raise self._refusal_of_token(status, error[:LONGEST_SHOWN], context)
        self._token.note_accepted()
        raise ApiRefused(status, error[:LONGEST_SHOWN], context)

    def _refusal_of_token(self, status: int, error: str, context: dict[str, Any]) -> TokenRefused:
        """Return what to raise when the API refuses the token, and say so in the log when that begins."""
        scope = str(context.get("scope") or "")[:LONGEST_SHOWN] if status == HTTPStatus.FORBIDDEN else ""
        if status == HTTPStatus.FORBIDDEN:
            problem = f"the token in API_TOKEN or API_TOKEN_FILE lacks the scope {scope or 'for this'}"
        elif self._token.is_set:
            problem = "the API does not know the token in API_TOKEN or API_TOKEN_FILE"
        else:
            problem = "the API asks for a token: set API_TOKEN or API_TOKEN_FILE"
        refused = TokenRefused(f"{status} from {self._shown_url}: {problem} ({error})", scope)
        self._token.note_refused(str(refused))
        return refused

    def _foreign(self, answer: Answer) -> ApiUnavailable | ApiRefused:
        """Return what to raise for another server's answer. It may pass, unless the body is too large there."""
        status = answer.status
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return ApiRefused(status, f"too large for a proxy in front of {self._shown_url}", {})
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            return ApiUnavailable(f"{status} from the proxy in front of {self._shown_url}: it asks for a password")
        if answer.location and HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            elsewhere = without_secrets(answer.location)[:LONGEST_SHOWN]
            return ApiUnavailable(
                f"{status} from {self._shown_url}: set API_URL to the URL that it redirects to, {elsewhere}"
            )
        return ApiUnavailable(f"{status} from {self._shown_url}, not from this API")

    def close(self) -> None:
        """Close the connection."""
        self._exchanges.close()


def _parsed(content: bytes) -> Any:
    """Return the decoded JSON; None when there is no content, and the content itself when it is not JSON."""
    with suppress(ValueError, RecursionError):
        return json.loads(content) if content else None
    return content

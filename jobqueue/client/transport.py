"""One HTTP request to the API: JSON in, JSON out, and two errors, for no answer and for a refusal."""

from __future__ import annotations

import json
from contextlib import suppress
from http import HTTPStatus
from typing import IO, Any

import requests
import urllib3

from jobqueue.net.adapter import Adapter
from jobqueue.net.sockets import governed
from jobqueue.net.statuses import is_retryable
from jobqueue.net.time_limit import TimeLimit, TimeLimitExceeded
from jobqueue.net.urls import without_secrets

CONNECT_SECONDS = 3.05
"""Time limit of connecting to one of the API's addresses."""
ANSWER_SECONDS = 10.0
"""Time limit of a request, unless the caller sets another one."""


class ApiUnavailable(Exception):
    """The API did not answer, or answered that it cannot serve the request now. It may or may not have acted on it."""


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
    """Requests to one API over kept connections. For one thread at a time.

    Nothing is taken from the environment: neither a proxy nor `.netrc`, whose passwords would go to whoever answers.
    """

    def __init__(self, api_url: str, connect_seconds: float = CONNECT_SECONDS) -> None:
        self._api_url = api_url.rstrip("/")
        self._shown_url = without_secrets(self._api_url)
        self._connect_seconds = connect_seconds
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("https://", adapter := Adapter())
        self._session.mount("http://", adapter)

    def call(self, method: str, path: str, body: object = None, within_seconds: float = ANSWER_SECONDS) -> Any:
        """Send a request with this body, as JSON; return the decoded body of the answer, None when it has none.

        Gives up after `within_seconds`. Raises ApiUnavailable, ApiRefused.
        """
        return self._request(method, path, within_seconds, json=body)

    def send(self, method: str, path: str, body: IO[bytes], within_seconds: float = ANSWER_SECONDS) -> Any:
        """Send a request whose body is the JSON in a file, without ever holding it whole; return what `call` returns.

        Raises ApiUnavailable, ApiRefused.
        """
        body.seek(0)
        return self._request(method, path, within_seconds, data=body, headers={"Content-Type": "application/json"})

    def _request(self, method: str, path: str, within_seconds: float, **content: Any) -> Any:
        # `requests` gets the time limit of connecting only. The limit of the whole request governs the sockets.
        options = {"timeout": (self._connect_seconds, None), "allow_redirects": False, **content}
        try:
            with (
                governed(TimeLimit(within_seconds)),
                self._session.request(method, self._api_url + path, **options) as response,
            ):
                answer = response.content
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, TimeLimitExceeded) as error:
            raise ApiUnavailable(f"{_reason(error)} at {self._shown_url}") from error
        return self._decode(response.status_code, answer)

    def _decode(self, status: int, content: bytes) -> Any:
        """Return the body of a success; raise ApiUnavailable for a status that may pass, ApiRefused for a refusal.

        Anything else was sent by another server, such as a proxy. A proxy's 404 must not make a worker believe that its
        job is gone.
        """
        body: Any = content  # Still bytes below if it is not JSON.
        with suppress(ValueError, RecursionError):
            body = json.loads(content) if content else None
        error = body.get("error") if isinstance(body, dict) else None
        if is_retryable(status):
            message = f" ({error})" if isinstance(error, str) else ""
            raise ApiUnavailable(f"{status}{message} from {self._shown_url}")
        if status < HTTPStatus.MULTIPLE_CHOICES and not isinstance(body, bytes):
            return body
        if status < HTTPStatus.BAD_REQUEST or error is None:
            raise self._foreign(status)
        raise ApiRefused(status, str(error), body.get("context") or {})

    def _foreign(self, status: int) -> ApiUnavailable | ApiRefused:
        """Return what to raise for another server's answer. It may pass, unless the body is too large there."""
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return ApiRefused(status, f"too large for a proxy in front of {self._shown_url}", {})
        return ApiUnavailable(f"{status} from {self._shown_url}, not from this API")

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def _reason(error: BaseException) -> str:
    """Return the system's message when a system error lies behind an error; else its own, or its kind."""
    if isinstance(error, TimeLimitExceeded):
        return str(error)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__

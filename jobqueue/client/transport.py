"""One HTTP request to the API: JSON in, JSON out, and two errors, for no answer and for a no."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, Any

import requests
import urllib3

from jobqueue.net import deadline
from jobqueue.net.urls import without_secrets

CONNECT_SECONDS = 3.05
ANSWER_SECONDS = 10.0
ASK_AGAIN = (408, 429)
"""Client errors that pass with time; so does every 5xx."""


class ApiUnavailable(Exception):
    """The API did not answer, or answered that it cannot now. What was asked may or may not have been done."""


class ApiRefused(Exception):
    """The API said no, and would say it again. `status` is the HTTP status, `context` what it names."""

    def __init__(self, status: int, error: str, context: dict[str, Any]) -> None:
        super().__init__(f"{status}: {error}")
        self.status = status
        self.error = error
        self.context = context


@dataclass(frozen=True)
class Answer:
    """A yes: the HTTP status and the body, None when there is none."""

    status: int
    body: Any


class Transport:
    """Requests to one API over connections that are kept. For one thread at a time.

    Nothing is taken from the environment: no proxy, no `.netrc`, whose passwords would go to whoever answers.
    """

    def __init__(self, api_url: str) -> None:
        self._api_url = api_url.rstrip("/")
        self._shown = without_secrets(self._api_url)
        self._session = requests.Session()
        self._session.trust_env = False
        adapter = deadline.Adapter()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)

    def call(self, method: str, path: str, body: object = None, within_seconds: float = ANSWER_SECONDS) -> Answer:
        """Return the answer to a request with this body, as JSON; give up on it after `within_seconds`.

        Raises ApiUnavailable, ApiRefused.
        """
        return self._ask(method, path, within_seconds, json=body)

    def send(self, method: str, path: str, body: IO[bytes], within_seconds: float = ANSWER_SECONDS) -> Answer:
        """Return the answer to a request whose body is the JSON in a file, sent without ever holding it whole.

        Raises ApiUnavailable, ApiRefused.
        """
        body.seek(0)
        return self._ask(method, path, within_seconds, data=body, headers={"Content-Type": "application/json"})

    def _ask(self, method: str, path: str, within_seconds: float, **content: Any) -> Answer:
        patience = (min(CONNECT_SECONDS, within_seconds), within_seconds)
        try:
            with (
                deadline.within(within_seconds),
                self._session.request(
                    method, self._api_url + path, timeout=patience, allow_redirects=False, **content
                ) as response,
            ):
                answer = response.content
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise ApiUnavailable(f"{_reason(error)} at {self._shown}") from error
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or response.status_code in ASK_AGAIN:
            raise ApiUnavailable(f"{response.status_code} from {self._shown}")
        return self._understood(response.status_code, answer)

    def _understood(self, status: int, content: bytes) -> Answer:
        """Return a yes, raise ApiRefused for a no. What is neither comes from somebody else, such as a proxy."""
        try:
            body = json.loads(content) if content else None
        except (ValueError, RecursionError):
            raise self._not_ours(status) from None
        if status < HTTPStatus.MULTIPLE_CHOICES:
            return Answer(status, body)
        if status < HTTPStatus.BAD_REQUEST or not isinstance(body, dict) or "error" not in body:
            raise self._not_ours(status)
        raise ApiRefused(status, str(body["error"]), body.get("context") or {})

    def _not_ours(self, status: int) -> ApiUnavailable | ApiRefused:
        """Return what to raise for somebody else's answer: it may pass, unless the body was too large for them."""
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return ApiRefused(status, f"too large for what stands before {self._shown}", {})
        return ApiUnavailable(f"{status} from {self._shown}, not from this API")

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def _reason(error: BaseException | None) -> str:
    """Return what the system said that is behind an error; else what kind of error it is."""
    kind = type(error).__name__
    while error is not None:
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
        error = error.__cause__ or error.__context__
    return kind

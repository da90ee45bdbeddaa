"""One HTTP request to the API: JSON in, JSON out, and two errors, for no answer and for a no."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import requests

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
        self._session = requests.Session()
        self._session.trust_env = False

    def call(self, method: str, path: str, body: object = None, within_seconds: float = ANSWER_SECONDS) -> Answer:
        """Return the answer; give up on connecting, and on each wait for an answer, after `within_seconds`.

        Raises ApiUnavailable, ApiRefused.
        """
        patience = (min(CONNECT_SECONDS, within_seconds), within_seconds)
        try:
            response = self._session.request(
                method,
                self._api_url + path,
                json=body,
                timeout=patience,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise ApiUnavailable(f"{type(error).__name__} at {self._api_url}") from error
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or response.status_code in ASK_AGAIN:
            raise ApiUnavailable(f"{response.status_code} from {self._api_url}")
        content = _json(response)
        if response.status_code >= HTTPStatus.MULTIPLE_CHOICES:
            raise _refused(response.status_code, content)
        return Answer(response.status_code, content)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def _json(response: requests.Response) -> Any:
    if not response.content:
        return None
    try:
        return response.json()
    except requests.JSONDecodeError:
        return response.text


def _refused(status: int, content: Any) -> ApiRefused:
    if not isinstance(content, dict):
        return ApiRefused(status, "no answer of this API", {})
    return ApiRefused(status, str(content.get("error")), content.get("context") or {})

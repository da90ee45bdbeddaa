"""Sends requests to the API over a kept connection, and a second time at once where one connection is dead."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from threading import Event
from typing import IO

from jobqueue import logs
from jobqueue.client.token import Token
from jobqueue.client.unavailable import EXPECTED, ApiUnavailable, reason
from jobqueue.net.connections import Connection, content_of, headers_for
from jobqueue.net.network import Network
from jobqueue.net.sockets import governed
from jobqueue.net.time_limit import Stopped, TimeLimit
from jobqueue.net.urls import Url, from_header
from jobqueue.redaction import without_secrets

MAX_IDLE_SECONDS = 10.0
"""How long a connection is kept without a request. Balancers forget older ones, some without a word."""

MAX_SILENCE_SECONDS = 2.0
"""How long a connection may pass nothing before a request is sent on another one, when it may be sent twice."""

MAX_ANSWER_BYTES = 256 * 1024**2
"""More than the largest answer of the API: that to a claim for 32 jobs (`worker.vacancies`) of 7 MiB each."""


@dataclass(frozen=True)
class Request:
    """A request below the API's URL. `repeatable` is whether the API treats it the same when it arrives twice.

    The API may hold it for `held_seconds` before it answers: such a silence says nothing about the connection.
    """

    method: str
    path: str
    body: bytes | IO[bytes] | None
    repeatable: bool
    held_seconds: float = 0.0


@dataclass(frozen=True)
class Answer:
    """A status, where it redirects to (None when it does not), the body, for how long the API held the request before
    it acted on it, and after how many seconds it wants to be asked again (0: it does not say).
    """

    status: int
    location: str | None
    content: bytes
    held_seconds: float = 0.0
    retry_after_seconds: float = 0.0


WAITED = re.compile(r"\bwait;dur=([0-9]{1,6})\b")
"""What the header `Server-Timing` says about a request that the API has held."""


HIDDEN = "***"
RETRY_AFTER = re.compile("[0-9]{1,9}")
"""A `Retry-After` in seconds. It may be a date as well, which no server of this API sends."""


class AnswerTooLarge(ValueError):
    """The answer is larger than any of the API's."""


class Withdrawn(Exception):
    """The caller has withdrawn the request before it was answered. The API may or may not have acted on it."""


class Exchanges:
    """Requests and answers over one connection, which is replaced when it is old or broken. For one thread.

    The token is sent to the API only: a redirect is an answer like any other.
    """

    def __init__(self, api_url: str, network: Network, connect_seconds: float, token: Token | None = None) -> None:
        self._api_url = api_url
        self._token = token or Token()
        self._sent_token = ""
        self._network = network
        self._connect_seconds = connect_seconds
        self._kept: Connection | None = None
        self._kept_since = 0.0
        self._logged: set[type[BaseException]] = set()

    def ask(self, request: Request, within_seconds: float, withdrawn: Event | None = None) -> Answer:
        """Return the answer to a request. Raises ApiUnavailable when there is none `within_seconds`, and Withdrawn soon
        after the event `withdrawn` is set.

        A request that may be sent twice is sent again at once, on a new connection, when a connection passes nothing
        for a while or breaks. Such a connection says nothing about the API: others may work. The silence may be twice
        as long the second time and of any length the third time, for an API that needs longer to answer.

        A request that was answered 401 was not acted upon. It is sent once more if there is another token by now.
        """
        silence_seconds = min(MAX_SILENCE_SECONDS, (within_seconds - request.held_seconds) / 2) + request.held_seconds
        limit, silences = TimeLimit(within_seconds, withdrawn), (silence_seconds, 2 * silence_seconds)
        try:
            answer = self._try_each(request, limit, silences)
            if answer.status == HTTPStatus.UNAUTHORIZED and self._token.replaces(self._sent_token):
                answer = self._try_each(request, limit, silences)
            return answer
        except Stopped:
            raise Withdrawn from None
        except _ConnectionLost as lost:
            raise self._unavailable(lost.error) from lost.error
        except Exception as error:
            raise self._unavailable(error) from error

    def close(self) -> None:
        """Close the connection."""
        if self._kept is not None:
            self._kept.hang_up()
            self._kept = None

    def _try_each(self, request: Request, limit: TimeLimit, silences: Sequence[float]) -> Answer:
        for silence in silences if request.repeatable else ():
            limit.tolerate_silence(silence)
            with suppress(_ConnectionLost):
                return self._try(request, limit)
        limit.tolerate_silence(None)
        return self._try(request, limit)

    def _try(self, request: Request, limit: TimeLimit) -> Answer:
        """Send a request once. Raises _ConnectionLost once there was a connection, otherwise what went wrong."""
        url = Url.parse(self._api_url + request.path)
        with governed(limit):
            connection = self._connection(url)
            try:
                answer = self._exchange(connection, url, request)
            except BaseException as error:
                connection.hang_up()
                if connection.place is None or isinstance(error, Stopped) or not isinstance(error, Exception):
                    raise
                self._network.suspects.add(connection.place)
                raise _ConnectionLost(error) from error
        self._network.suspects.clear(connection.place)
        if connection.sock is not None:  # else the server wants it closed
            self._kept, self._kept_since = connection, time.monotonic()
        return answer

    def _connection(self, url: Url) -> Connection:
        """Return the kept connection, unless it is too old or broken; else another one.

        One that can be read is broken: the server has ended it, or sent what nobody asked for.
        """
        kept, self._kept = self._kept, None
        if kept is not None:
            if kept.is_connected and time.monotonic() - self._kept_since < MAX_IDLE_SECONDS:
                return kept
            kept.hang_up()
        return self._network.connection(url, self._connect_seconds)

    def _exchange(self, connection: Connection, url: Url, request: Request) -> Answer:
        self._sent_token = self._token.current()
        try:
            connection.ask(request.method, url, _headers(url, request, self._sent_token), request.body)
        except (BrokenPipeError, ConnectionResetError):
            # A server may refuse a body before it has read all of it. Then the answer is there, and explains the error.
            if connection.sock is None:
                raise
        response = connection.plain_answer()
        content = bytearray()
        for piece in content_of(response):
            content += piece
            if len(content) > MAX_ANSWER_BYTES:
                raise AnswerTooLarge
        response.close()
        location = response.headers.get("Location")
        if self._sent_token and response.status >= HTTPStatus.MULTIPLE_CHOICES:
            # What such an answer says is logged and printed, and a server may quote the request in it.
            content = content.replace(self._sent_token.encode(), HIDDEN.encode())
            location = location and location.replace(self._sent_token, HIDDEN)
        held = WAITED.search(response.headers.get("Server-Timing", ""))
        held_seconds = int(held[1]) / 1000 if held else 0.0
        wanted = RETRY_AFTER.fullmatch(response.headers.get("Retry-After", ""))
        retry_after = float(wanted[0]) if wanted else 0.0
        return Answer(response.status, location and from_header(location), bytes(content), held_seconds, retry_after)

    def _unavailable(self, error: BaseException) -> ApiUnavailable:
        if not isinstance(error, EXPECTED) and type(error) not in self._logged:
            self._logged.add(type(error))
            logs.logger().error("crash", reason=repr(error), exc_info=error)
        return ApiUnavailable(f"{reason(error)} at {without_secrets(self._api_url)}")


class _ConnectionLost(Exception):
    """There was a connection, but no answer came on it. `error` is why."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


def _headers(url: Url, request: Request, token: str) -> dict[str, str]:
    headers = headers_for(url, url.credentials)
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    if request.body is not None and not isinstance(request.body, bytes):
        headers["Content-Length"] = str(request.body.seek(0, os.SEEK_END))
        request.body.seek(0)
    return headers

"""One GET to one server, and the answer: its body as it was sent, whatever encoding it claims to have."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPException, responses

import urllib3
from urllib3.exceptions import HTTPError

from jobqueue.net.connections import pieces_of
from jobqueue.net.network import Network
from jobqueue.net.sockets import Governor, Guard, governed
from jobqueue.net.time_limit import TimeLimit
from jobqueue.net.urls import Url, from_header
from jobqueue.worker.programs.errors import NETWORK_ERRORS, RetryableFailure, meaning

REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True)
class Answer:
    """A status, some headers and a body.

    location: where a redirect leads, None when the answer is not a redirect. retry_after_seconds: the pause that
    the server asks for, 0 when it does not. byte_count: announced length of the body, None when not announced.
    headers: all headers, their names in any case.
    pieces: the body. Reading it raises what `Client.get` raises; RetryableFailure when the body is shorter than
    announced.
    """

    status: int
    location: str | None
    retry_after_seconds: float
    byte_count: int | None
    pieces: Iterator[bytes]
    headers: Mapping[str, str]

    @property
    def status_text(self) -> str:
        """Number and meaning: `404 Not Found`."""
        return f"{self.status} {responses.get(self.status, '')}".strip()


class Client:
    """Sends GETs. Any thread may use it. Passwords in `.netrc` are not used."""

    def __init__(self, connect_seconds: float, network: Network) -> None:
        self._connect_seconds = connect_seconds
        self._network = network
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # its warnings quote whole URLs, secrets included

    @contextmanager
    def get(self, url: Url, headers: Mapping[str, str], limit: TimeLimit, guard: Guard) -> Iterator[Answer]:
        """Hand out the answer to a GET. When the context ends the connection is closed, read to its end or not.

        The time limit holds for the whole context: connecting, the headers, and every piece of the body that is read.
        Raises DownloadFailed, RetryableFailure, DownloadStopped; OSError when this machine is at fault; and what the
        guard raises.
        """
        connection = self._network.connection(url, self._connect_seconds)
        with governed(limit, guard) as governor:
            try:
                with _translated(governor):
                    connection.connect()
                    limit.begin_window()
                    connection.ask("GET", url, headers)
                    response = connection.answer()
                    if connection.via and response.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
                        raise connection.via.failed(f"asks for a user name and a password: {response.status}")
                yield _answer(response, governor)
            except RetryableFailure:
                if connection.place is not None:
                    self._network.suspects.add(connection.place)
                raise
            finally:
                connection.hang_up()


def _answer(response: urllib3.HTTPResponse, governor: Governor) -> Answer:
    location, wait = (next(iter(response.headers.getlist(name)), None) for name in ("Location", "Retry-After"))
    return Answer(
        status=response.status,
        location=from_header(location) if location and response.status in REDIRECTS else None,
        retry_after_seconds=_seconds_until(wait or ""),
        byte_count=response.length_remaining,
        pieces=_pieces(response, governor),
        headers=response.headers,
    )


def _pieces(response: urllib3.HTTPResponse, governor: Governor) -> Iterator[bytes]:
    governor.limit.begin_window()
    with _translated(governor):  # whatever goes wrong while a piece is used is raised there, not here
        yield from pieces_of(response)


@contextmanager
def _translated(governor: Governor) -> Iterator[None]:
    """Raise what an error of the network means for a download."""
    try:
        yield
    except NETWORK_ERRORS as error:
        # What a connection that ends early leaves behind may look like anything: an odd status line, a bad chunk.
        # So we do not read the parsers' errors but look whether the peer has ended the connection.
        if governor.ended and isinstance(error, HTTPException | HTTPError):
            raise RetryableFailure from error
        raise meaning(error) from error


def _seconds_until(moment: str) -> float:
    """Return what a Retry-After means: a number of seconds, or an HTTP date."""
    if re.fullmatch("[0-9]{1,9}", moment):
        return float(moment)
    try:
        return max(0.0, parsedate_to_datetime(moment).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0

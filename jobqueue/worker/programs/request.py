"""One GET to one server, and the answer: its body as it was sent, whatever encoding it claims to have."""

from __future__ import annotations

import logging
import re
import ssl
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from http.client import HTTPException, HTTPResponse, responses
from typing import Any
from urllib.parse import unquote

import certifi
import urllib3
from urllib3.exceptions import HTTPError

from jobqueue.net.sockets import Connection, GovernedTlsSocket, Governor, TlsConnection, governed
from jobqueue.net.time_limit import TimeLimit
from jobqueue.net.urls import Url
from jobqueue.worker.programs.errors import NETWORK_ERRORS, RetryableFailure, meaning

PIECE_BYTES = 256 * 1024
LONGEST_LINE = 4096
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;[^\n]*)?\r?\n")
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True)
class Answer:
    """A status, some headers and a body.

    location: where a redirect leads, None when the answer is not a redirect. retry_after_seconds: the pause that
    the server asks for, 0 when it does not. byte_count: announced length of the body, None when not announced.
    pieces: the body. Reading it raises what `Client.get` raises; RetryableFailure when the body is shorter than
    announced.
    """

    status: int
    location: str | None
    retry_after_seconds: float
    byte_count: int | None
    pieces: Iterator[bytes]

    @property
    def status_text(self) -> str:
        """Number and meaning: `404 Not Found`."""
        return f"{self.status} {responses.get(self.status, '')}".strip()


class Client:
    """Sends GETs. Any thread may use it. Nothing comes from the environment: no proxy, no `.netrc`."""

    def __init__(self, connect_seconds: float) -> None:
        self._connect_seconds = connect_seconds
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # its warnings quote whole URLs, secrets included

    @contextmanager
    def get(self, url: Url, headers: Mapping[str, str], limit: TimeLimit) -> Iterator[Answer]:
        """Hand out the answer to a GET. When the context ends the connection is closed, read to its end or not.

        The time limit holds for the whole context: connecting, the headers, and every piece of the body that is read.
        Raises DownloadFailed, RetryableFailure, DownloadStopped; OSError when this machine is at fault.
        """
        with governed(limit) as governor, ExitStack() as stack:
            connection = stack.enter_context(closing(self._connection(url)))

            # urllib3 forgets to close an answer whose headers it refuses. The socket would stay open with it.
            def respond(*arguments: Any, **options: Any) -> HTTPResponse:
                return stack.enter_context(closing(_StrictResponse(*arguments, **options)))

            connection.response_class = respond  # type: ignore[assignment]  # it is only called
            with _translated(governor):
                connection.connect()
                limit.begin_window()
                connection.request("GET", url.target, headers=headers, preload_content=False, decode_content=False)
                response = connection.getresponse()
            if governor.ended:  # headers that break off look like headers that end
                raise RetryableFailure
            yield _answer(response, governor)

    def _connection(self, url: Url) -> Connection | TlsConnection:
        host, seconds = url.host.strip("[]"), self._connect_seconds
        if url.scheme == "https":
            return TlsConnection(host, url.port, timeout=seconds, ssl_context=self._tls)
        return Connection(host, url.port, timeout=seconds)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made once, since reading the certificate authorities takes 16 ms. Two threads may both make it: no harm."""
        context = ssl.create_default_context(cafile=certifi.where())
        context.sslsocket_class = GovernedTlsSocket
        return context


def headers_for(url: Url, credentials: str | None) -> dict[str, str]:
    """Return the headers of a GET. `credentials` are `user:password`, percent-encoded."""
    headers = {"Host": url.authority, "User-Agent": "jobqueue", "Accept": "*/*"}
    headers |= {"Accept-Encoding": "identity", "Connection": "close"}
    if credentials is not None:
        headers["Authorization"] = f"Basic {b64encode(unquote(credentials).encode()).decode()}"
    return headers


def _answer(response: urllib3.HTTPResponse, governor: Governor) -> Answer:
    location, wait = (next(iter(response.headers.getlist(name)), None) for name in ("Location", "Retry-After"))
    return Answer(
        status=response.status,
        location=location if response.status in REDIRECTS else None,
        retry_after_seconds=_seconds_until(wait or ""),
        byte_count=response.length_remaining,
        pieces=_pieces(response, governor),
    )


def _pieces(response: urllib3.HTTPResponse, governor: Governor) -> Iterator[bytes]:
    governor.limit.begin_window()
    while True:
        with _translated(governor):
            # Not `stream` nor `read`: urllib3 has a parser of its own for chunks, which believes negative sizes.
            piece = response.read1(PIECE_BYTES)
        if not piece:
            return
        yield piece


class BadChunk(HTTPException):
    """The size of a chunk cannot be read."""


class _StrictResponse(HTTPResponse):
    """The standard library's answer, except that sizes of chunks are read by the letter of RFC 9112.

    The library reads them with `int`, which takes `-1` for a size. It then reads on until the connection ends.
    """

    def _read_next_chunk_size(self) -> int:
        match = CHUNK_SIZE.fullmatch(self.fp.readline(LONGEST_LINE))
        if match is None:
            raise BadChunk
        return int(match[1], 16)


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

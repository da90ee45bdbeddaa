"""One question to the host of a program, and its answer: the bytes as they were sent, whatever encoding they claim."""

from __future__ import annotations

import re
import ssl
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse, responses
from io import BufferedReader
from urllib.parse import unquote

import certifi
from urllib3.util import parse_url

from jobqueue.worker.programs.connection import Wire, connect
from jobqueue.worker.programs.errors import DownloadFailed, MayPass
from jobqueue.worker.programs.patience import SLOW_SECONDS, Patience
from jobqueue.worker.programs.policy import DEFAULT_PORTS

CHUNK_BYTES = 256 * 1024
LONGEST_LINE = 4096
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;[^\n]*)?\r?\n")
HOST = re.compile(r"[!-~]+")
REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class Address:
    """Where a program lies. `credentials` are the user and password of its URL, for nobody but this origin."""

    scheme: str
    host: str
    port: int
    target: str
    credentials: str | None

    @property
    def origin(self) -> tuple[str, str, int]:
        """Who is asked."""
        return self.scheme, self.host, self.port

    @classmethod
    def of(cls, url: str) -> Address:
        """Read a URL. Raises DownloadFailed."""
        try:
            parts = parse_url(url)
        except ValueError:
            raise DownloadFailed("the URL cannot be read") from None
        scheme, host = parts.scheme or "", (parts.host or "").rstrip(".")
        if not HOST.fullmatch(host):
            raise DownloadFailed("the URL names no host")
        port = DEFAULT_PORTS.get(scheme, 0) if parts.port is None else parts.port
        return cls(scheme, host, port, parts.request_uri, parts.auth)


class Answer:
    """A status and what follows. The body is read by `pieces` alone: nobody reads that of a redirect."""

    def __init__(self, response: HTTPResponse, patience: Patience) -> None:
        self._response = response
        self._patience = patience

    @property
    def status(self) -> str:
        """Number and meaning: `404 Not Found`."""
        return f"{self._response.status} {responses.get(self._response.status, '')}".strip()

    @property
    def number(self) -> int:
        """The status as a number."""
        return self._response.status

    @property
    def location(self) -> str | None:
        """Where a redirect leads, None when this is none."""
        return self._response.headers.get("Location") if self.number in REDIRECTS else None

    @property
    def retry_after_seconds(self) -> float:
        """How long the host asks to be left alone: 0 when it does not say."""
        return _seconds_until(self._response.headers.get("Retry-After", ""))

    @property
    def byte_count(self) -> int | None:
        """How long the body is said to be, None when that is not said."""
        return self._response.length

    def pieces(self) -> Iterator[bytes]:
        """Yield the body. Raises MayPass when it ends early, DownloadFailed for one that cannot be read."""
        file = self._response.fp
        self._patience.begin(SLOW_SECONDS)
        if self._response.chunked:
            while size := _chunk_size(file):
                yield from _exactly(file, size)
                _expect_line_end(file)
        elif self.byte_count is not None:
            yield from _exactly(file, self.byte_count)
        else:
            while piece := file.read(CHUNK_BYTES):
                yield piece


class Origins:
    """Asks hosts on behalf of one download."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._tls: ssl.SSLContext | None = None

    @contextmanager
    def ask(self, address: Address, headers: Mapping[str, str], credentials: str | None) -> Iterator[Answer]:
        """Hand out the answer to a GET, open as long as the context. Raises what a Wire raises."""
        tls = self._trusting() if address.scheme == "https" else None
        with connect(address.host.strip("[]"), address.port, tls, self._patience) as wire:
            wire.send(_request(address, headers, credentials))
            with _begun(wire) as response:
                yield Answer(response, self._patience)

    def _trusting(self) -> ssl.SSLContext:
        self._tls = self._tls or ssl.create_default_context(cafile=certifi.where())
        return self._tls


def _request(address: Address, headers: Mapping[str, str], credentials: str | None) -> bytes:
    port = "" if address.port == DEFAULT_PORTS[address.scheme] else f":{address.port}"
    own = {"Host": address.host + port, "User-Agent": "jobqueue", "Accept": "*/*"}
    own |= {"Accept-Encoding": "identity", "Connection": "close"}
    if credentials is not None:
        own["Authorization"] = f"Basic {b64encode(unquote(credentials).encode()).decode()}"
    lines = [f"GET {address.target} HTTP/1.1", *(f"{name}: {value}" for name, value in {**own, **headers}.items())]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("ascii")


def _begun(wire: Wire) -> HTTPResponse:
    """Return an answer whose headers have been read."""
    response = HTTPResponse(wire, method="GET")  # type: ignore[arg-type]  # it asks for nothing but makefile()
    try:
        response.begin()
    except (HTTPException, ConnectionError) as error:
        if wire.ended:
            raise MayPass("the connection ended early") from error
        raise DownloadFailed(f"the answer is not HTTP: {type(error).__name__}") from error
    if wire.ended:  # headers that break off look like headers that end
        raise MayPass("the connection ended early")
    return response


def _exactly(file: BufferedReader, size: int) -> Iterator[bytes]:
    while size:
        piece = file.read(min(size, CHUNK_BYTES))
        if not piece:
            raise MayPass("the connection ended early")
        yield piece
        size -= len(piece)


def _chunk_size(file: BufferedReader) -> int:
    line = file.readline(LONGEST_LINE)
    if found := CHUNK_SIZE.fullmatch(line):
        return int(found[1], 16)
    if len(line) < LONGEST_LINE and not line.endswith(b"\n"):
        raise MayPass("the connection ended early")
    raise DownloadFailed("the body cannot be read: bad chunk")


def _expect_line_end(file: BufferedReader) -> None:
    line = file.readline(2)
    if not line.endswith(b"\n"):
        raise MayPass("the connection ended early") if len(line) < len(b"\r\n") else DownloadFailed("bad chunk")


def _seconds_until(moment: str) -> float:
    """Return what a Retry-After means: seconds, or a date of HTTP."""
    if re.fullmatch("[0-9]{1,9}", moment):
        return float(moment)
    try:
        return max(0.0, parsedate_to_datetime(moment).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0

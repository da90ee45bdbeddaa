"""The requests of a connection, read more strictly than gunicorn reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from gunicorn import http
from gunicorn.http.errors import (
    InvalidChunkSize,
    InvalidHeader,
    InvalidHeaderName,
    InvalidRequestLine,
    LimitRequestHeaders,
    ObsoleteFolding,
    ParseException,
    UnsupportedTransferCoding,
)

from jobqueue.access import keyring

FREE_CHUNKS, BYTES_PER_CHUNK = 20_000, 256
"""How many chunks a body may have, and how many bytes buy another one. Each costs the processor 6 microseconds."""

MAX_CHUNK_BYTES = 2**31 - 1
"""No body is as long as this."""

AUTHORIZATION = re.compile(
    rb"""
    (?:\A|\n) (authorization: .*?)
    (?= \r\n [!#$%&'*+.^_`|~0-9a-z-]+ : | \r\n\r\n | \Z )  # the next header, or the end of the head or of what came
    """,
    re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
NOT_IN_A_HEADER = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class UnreadableToken(ParseException):
    """The header Authorization is what cannot be read of a request."""


class Request(http.Request):
    """A request whose head has been read. Raises ParseException if it cannot be read, or may be misunderstood."""

    def __init__(self, *arguments: Any) -> None:
        self._received = bytearray()
        super().__init__(*arguments)
        check_target(self)
        if getattr(self.body.reader, "parser", None) is not None:
            guard_chunks(self)

    def read_into(self, unreader: Any, buf: bytearray, stop: bool = False) -> None:
        """Read more of the head."""
        self._received = buf  # also when the next bytes are too many
        super().read_into(unreader, buf, stop)

    def parse(self, unreader: Any) -> Any:
        """Read the head; return what came after it.

        Raises UnreadableToken where tokens are needed: a client whose token is too long or damaged then learns the
        same as one whose token is unknown.
        """
        try:
            return super().parse(unreader)
        except (InvalidHeader, InvalidHeaderName, LimitRequestHeaders, ObsoleteFolding) as error:
            if needs_tokens() and has_unreadable_token(bytes(self._received), self.limit_request_field_size):
                raise UnreadableToken from error
            raise
        finally:
            del self._received


class Parser(http.RequestParser):
    """Reads the requests of a connection, one after another."""

    mesg_class = Request


def needs_tokens() -> bool:
    """Return whether the API is open only to those who have a token."""
    tokens = keyring.inherited()
    return tokens is not None and not tokens.is_open


def has_unreadable_token(head: bytes, most_bytes: int) -> bool:
    """Return whether a head, or a part of one, has a header Authorization that is too long or not text, or several."""
    headers = AUTHORIZATION.findall(head)
    return len(headers) > 1 or any(
        len(header + b"\r\n") > most_bytes or NOT_IN_A_HEADER.search(header) for header in headers
    )


def check_target(request: Any) -> None:
    """Raise InvalidRequestLine for a target that a proxy may read differently.

    That is a part after `#`, which no target has, and an absolute URL that names another host than `Host` does: who may
    send a request is decided by that header.
    """
    target: str = request.uri
    if "#" in target:
        raise InvalidRequestLine(target)
    if target[0] != "/" and "://" in target:
        hosts = [value.lower() for name, value in request.headers if name == "HOST"]
        scheme, authority = re.split("://|[/?]", target.lower())[:2]
        if scheme not in ("http", "https") or hosts != [authority]:
            raise InvalidRequestLine(target)


def guard_chunks(request: Any) -> None:
    """Have the chunks of a body read more strictly than gunicorn reads them.

    Raises UnsupportedTransferCoding for a body that is encoded in yet another way: gunicorn accepts `identity, chunked`
    and `gzip, chunked`, and a proxy may see another end of such a body.
    """
    codings = [value.lower() for name, value in request.headers if name == "TRANSFER-ENCODING"]
    if codings != ["chunked"]:
        raise UnsupportedTransferCoding(", ".join(codings))
    reader = request.body.reader
    reader.parse_chunk_size = partial(chunk_size, reader.parse_chunk_size)
    reader.parser = without_crumbs(reader.parser)


def chunk_size(parse: Callable[..., tuple[int, bytes]], *arguments: Any, **options: Any) -> tuple[int, bytes]:
    """Return what `parse` does. Raises InvalidChunkSize for a size that may overflow in a proxy and become small."""
    size, rest = parse(*arguments, **options)
    if size > MAX_CHUNK_BYTES:
        raise InvalidChunkSize(b"too large")
    return size, rest


def without_crumbs(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a chunked body. Raises InvalidChunkSize when there are far too many for its length."""
    left = float(FREE_CHUNKS)
    for piece in pieces:
        left += len(piece) / BYTES_PER_CHUNK - 1
        if left < 0:
            raise InvalidChunkSize(b"too many small chunks")
        yield piece

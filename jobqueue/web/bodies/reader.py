"""Reads the bytes of a request's body, at most as many as its route allows."""

from __future__ import annotations

import socket
from contextlib import suppress
from functools import partial
from typing import Any

from flask import Flask, Request, current_app, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from jobqueue.errors import ServerBusy
from jobqueue.web.bodies.inflating import CODINGS, Inflated
from jobqueue.web.bodies.large import LARGE_BYTES, LargeBodies, Place
from jobqueue.web.bodies.limits import Limit
from jobqueue.web.requests import callers

EXTENSION = "jobqueue-large-bodies"
PLACE = "jobqueue.place"
PIECE_BYTES = 256 * 1024


class UnacceptedEncoding(UnsupportedMediaType):
    """The body is in an unknown encoding. The header says what to send instead (RFC 9110, section 15.5.16)."""

    description = "Content-Encoding is not supported here: send the body as it is, or compressed once by gzip"

    def get_headers(self, *arguments: Any, **options: Any) -> list[tuple[str, str]]:
        """Return the headers of the answer."""
        return [*super().get_headers(*arguments, **options), ("Accept-Encoding", "gzip, identity")]


def install(app: Flask, large_bodies: LargeBodies | None = None) -> None:
    """Give an app its places for large bodies. A request keeps its place until it is answered."""
    app.extensions[EXTENSION] = large_bodies or LargeBodies()
    app.teardown_request(_leave)


def large_bodies() -> LargeBodies:
    """Return the places of the app that handles this request."""
    places: LargeBodies = current_app.extensions[EXTENSION]
    return places


def _leave(_: BaseException | None) -> None:
    place = request.environ.pop(PLACE, None)
    if place is not None:
        large_bodies().leave(place)


def read(received: Request, limit: Limit) -> bytes | bytearray:
    """Return a request's whole body, inflated.

    Raises UnsupportedMediaType for a body that is not JSON or in an encoding that is not known, RequestEntityTooLarge
    (before anything is read if the request says its length), BadRequest for an incomplete or misformed body,
    InvalidRequest for a damaged gzip stream, ServerBusy for a large body that gets no place.
    """
    is_gzip = _check_headers(received, limit)
    # The body is read here and not by werkzeug, which would cut one that comes in chunks at the limit, ignore the rest,
    # and keep what it read until the request ends.
    if received.content_length is None and not received.environ.get("wsgi.input_terminated"):
        return b""
    source = _Source(received)
    inflated = Inflated(source.read) if is_gzip else None
    knows_length = received.content_length is not None and not is_gzip
    body = _read(source, inflated, (received.content_length or 0) if knows_length else limit.bytes + 1)
    _check_length(len(body), limit)
    source.check_end()
    return body


def _check_headers(received: Request, limit: Limit) -> bool:
    """Return whether the body is compressed by gzip."""
    written = received.headers.get("Content-Encoding", "").split(",")
    encodings = [encoding.strip().lower() for encoding in written]
    encodings = [encoding for encoding in encodings if encoding not in ("", "identity")]
    if len(encodings) > 1 or not CODINGS.issuperset(encodings):
        raise UnacceptedEncoding
    if not received.is_json:
        raise UnsupportedMediaType("Content-Type must be application/json")
    if not encodings:
        _check_length(received.content_length or 0, limit)
    return bool(encodings)


def _check_length(length: int, limit: Limit) -> None:
    if length > limit.bytes:
        raise RequestEntityTooLarge(f"Request body too large: at most {limit.text} here")


class _Source:
    """The bytes of a body as the client sends them."""

    def __init__(self, received: Request) -> None:
        self.environ = received.environ
        self.place: Place | None = None
        self._length = received.content_length
        self._received_bytes = 0

    def read(self, size: int) -> bytes:
        """Return the next bytes, fewer than `size` only at the end.

        Raises BadRequest if the connection or the encoding in chunks is broken, ServerBusy if this client was
        interrupted because others waited.
        """
        try:
            piece: bytes = self.environ["wsgi.input"].read(size)
        except (ParseException, OSError) as error:
            self._check_place()
            raise BadRequest from error
        self._check_place()
        self._received_bytes += len(piece)
        return piece

    def _check_place(self) -> None:
        if self.place is not None and self.place.is_interrupted:
            raise ServerBusy

    def check_end(self) -> None:
        """Raise BadRequest if the client sent less than it said."""
        if self._length is not None and self._received_bytes < self._length:
            raise BadRequest


def _read(source: _Source, inflated: Inflated | None, wanted: int) -> bytes | bytearray:
    """Return up to `wanted` bytes of a body."""
    read = source.read if inflated is None else inflated.read
    first = read(min(wanted, LARGE_BYTES))
    if len(first) < LARGE_BYTES or wanted == LARGE_BYTES:
        return first
    with callers.waiting(source.environ):
        place = large_bodies().enter(partial(_interrupt, source.environ.get("gunicorn.socket")))
    source.environ[PLACE] = source.place = place
    if inflated is not None:
        inflated.is_large = True
    body = bytearray(first)
    while len(body) < wanted and (piece := read(min(wanted - len(body), PIECE_BYTES))):
        body += piece
        place.received_bytes = len(body)
    place.is_reading = False
    return body


def _interrupt(connection: socket.socket | None) -> None:
    """End what a client sends, so that whoever reads it reads its end."""
    if connection is not None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RD)

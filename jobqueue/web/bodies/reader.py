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
from jobqueue.web import callers
from jobqueue.web.bodies.large import LARGE_BYTES, LargeBodies, Place
from jobqueue.web.bodies.limits import Limit

EXTENSION = "jobqueue-large-bodies"
PLACE = "jobqueue.place"
PIECE_BYTES = 256 * 1024


class UnacceptedEncoding(UnsupportedMediaType):
    """The body is compressed. The header tells the client what to send instead (RFC 9110, section 15.5.16)."""

    description = "Content-Encoding is not supported here: send the body as it is"

    def get_headers(self, *arguments: Any, **options: Any) -> list[tuple[str, str]]:
        """Return the headers of the answer."""
        return [*super().get_headers(*arguments, **options), ("Accept-Encoding", "identity")]


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
    """Return a request's whole body.

    Raises UnsupportedMediaType for a body that is not JSON or is compressed, RequestEntityTooLarge (before anything is
    read if the request says its length), BadRequest for an incomplete or misformed body, ServerBusy for a large one
    that gets no place.
    """
    _check_headers(received, limit)
    # The body is read here and not by werkzeug, which would cut one that comes in chunks at the limit, ignore the rest,
    # and keep what it read until the request ends.
    if received.content_length is None and not received.environ.get("wsgi.input_terminated"):
        return b""
    body = _read(received, received.content_length, limit)
    _check_length(len(body), limit)
    return body


def _check_headers(received: Request, limit: Limit) -> None:
    encodings = received.headers.get("Content-Encoding", "").split(",")
    if any(encoding.strip().lower() not in {"", "identity"} for encoding in encodings):
        raise UnacceptedEncoding
    if not received.is_json:
        raise UnsupportedMediaType("Content-Type must be application/json")
    _check_length(received.content_length or 0, limit)


def _check_length(length: int, limit: Limit) -> None:
    if length > limit.bytes:
        raise RequestEntityTooLarge(f"Request body too large: at most {limit.text} here")


def _read(received: Request, length: int | None, limit: Limit) -> bytes | bytearray:
    """Return a body of `length` bytes, or of unknown length, then up to one byte more than the limit."""
    wanted = limit.bytes + 1 if length is None else length
    first = _piece(received, min(wanted, LARGE_BYTES))
    if len(first) < LARGE_BYTES or wanted == LARGE_BYTES:
        return _whole(first, length)
    with callers.waiting(received.environ):
        place = large_bodies().enter(partial(_interrupt, received.environ.get("gunicorn.socket")))
    received.environ[PLACE] = place
    body = bytearray(first)
    while len(body) < wanted and (piece := _piece(received, min(wanted - len(body), PIECE_BYTES), place)):
        body += piece
        place.received_bytes = len(body)
    place.is_reading = False
    if place.is_interrupted:
        raise ServerBusy
    return _whole(body, length)


def _whole(body: bytes | bytearray, length: int | None) -> bytes | bytearray:
    if length is not None and len(body) < length:
        raise BadRequest
    return body


def _piece(received: Request, size: int, place: Place | None = None) -> bytes:
    """Return the next bytes of a body, fewer than `size` only at its end."""
    try:
        piece: bytes = received.environ["wsgi.input"].read(size)
    except (ParseException, OSError) as error:
        if place is not None and place.is_interrupted:
            raise ServerBusy from error
        raise BadRequest from error
    return piece


def _interrupt(connection: socket.socket | None) -> None:
    """End what a client sends, so that whoever reads it reads its end."""
    if connection is not None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RD)

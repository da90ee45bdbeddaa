"""Inflates gzip bodies in pieces, so that one which becomes a thousand times as long costs no more than its limit."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from jobqueue.errors import InvalidRequest
from jobqueue.web.bodies.limits import KIB
from jobqueue.web.bodies.threads import run_apart

CODINGS = frozenset({"gzip", "x-gzip"})
"""Two names of one encoding (RFC 9110, section 8.4.1.3)."""

GZIP = 16 + zlib.MAX_WBITS
"""zlib's word for a stream with the header of gzip, whose length and checksum are then checked."""

MAX_MEMBERS = 100
"""A gzip stream may be several, one after another. Each costs time, even an empty one."""

SHORT_BYTES = 16 * KIB
LONG_BYTES = 256 * KIB
"""How much is read at a time, of a body that may be small and of one that is certainly large."""

EXCESS_BYTES = 64 * KIB
"""How much longer than its content a gzip stream may be: for its header, and a thousandth of the content. Without this,
a stream that becomes nothing could be read for ever.
"""


class Inflated:
    """The content of a gzip stream, whose bytes are read by `read_raw` when they are needed."""

    def __init__(self, read_raw: Callable[[int], bytes]) -> None:
        self._read_raw = read_raw
        self._member = zlib.decompressobj(GZIP)
        self._members = 1
        self._raw = b""
        self._raw_bytes = 0
        self._inflated_bytes = 0
        self.is_large = False
        """Whether so much came already that the rest is inflated outside of gevent's event loop."""

    def read(self, size: int) -> bytes:
        """Return the next bytes, fewer than `size` only at the end. Raises InvalidRequest for a damaged stream."""
        inflated = bytearray()
        while len(inflated) < size:
            piece = self._inflate(size - len(inflated))
            inflated += piece
            self._inflated_bytes += len(piece)
            if not piece and not self._read_more():
                break
        return bytes(inflated)

    def _inflate(self, most: int) -> bytes:
        """Return up to `most` bytes of what was read, none if that needs more of the stream."""
        member, raw = self._member, self._raw
        if member.eof:
            return b""
        try:
            piece = run_apart(lambda: member.decompress(raw, most)) if self.is_large else member.decompress(raw, most)
        except zlib.error:
            raise _damaged("Damaged.") from None
        self._raw = member.unused_data if member.eof else member.unconsumed_tail
        return piece

    def _read_more(self) -> bool:
        """Make more of the stream ready to be inflated; return whether there was any."""
        if not self._raw:
            if self._raw_bytes > self._inflated_bytes + self._inflated_bytes // 1000 + EXCESS_BYTES:
                raise _damaged("Longer than its content.")
            self._raw = self._read_raw(LONG_BYTES if self.is_large else SHORT_BYTES)
            self._raw_bytes += len(self._raw)
        if not self._raw:
            if not self._member.eof:
                raise _damaged("Cut off.")
            return False
        if self._member.eof:
            self._begin_member()
        return True

    def _begin_member(self) -> None:
        if self._members >= MAX_MEMBERS:
            raise _damaged(f"More than {MAX_MEMBERS} members.")
        self._member = zlib.decompressobj(GZIP)
        self._members += 1


def _damaged(how: str) -> InvalidRequest:
    return InvalidRequest("Request body is not valid gzip", body=[how])

"""One output of a program, heard in bounded memory: its two ends are kept, and its latest part to be shown."""

from __future__ import annotations

import codecs
import os
import time
from typing import IO

from jobqueue.output import HALF_BYTES, LIVE_BYTES, OUTPUT_LIMIT_BYTES, missing_line, skip_partial_character

CHUNK_BYTES = 256 * 1024

PIECE_BYTES = 64 * 1024
"""How much of the latest output is told at a time: on its way it may take six times that, in several copies."""


class Stream:
    """A pipe that is read until its end; `total_bytes` came so far."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.pipe = pipe
        self.total_bytes = 0
        self._head = bytearray()
        self._tail = bytearray()
        self._live = Live()
        os.set_blocking(pipe.fileno(), False)

    def read(self) -> bool:
        """Take what is there; return whether more may come."""
        try:
            chunk = os.read(self.pipe.fileno(), CHUNK_BYTES)
        except BlockingIOError:
            return True
        self._keep(chunk)
        return bool(chunk)

    def drain(self, deadline: float) -> None:
        """Take what is left in the pipe, until `deadline` (monotonic): somebody may hold the other end for ever."""
        while time.monotonic() < deadline:
            before = self.total_bytes
            if not self.read() or self.total_bytes == before:
                return

    def take_live(self) -> tuple[int, str] | None:
        """Return where the output goes on and a piece of the text that came since the last time, None when there is
        none.
        """
        return self._live.take()

    def kept(self) -> tuple[str, bool]:
        """Return what was kept as text, and whether some is missing in it.

        Bytes that are no UTF-8 show as U+FFFD; a character that the cut would halve is left out whole.
        """
        kept = bytes(self._head + self._tail)
        if self.total_bytes <= OUTPUT_LIMIT_BYTES:
            text = kept.decode(errors="replace")
            if len(text.encode()) <= OUTPUT_LIMIT_BYTES:
                return text, False
        head, tail = _first_that_fit(kept[:HALF_BYTES]), _last_that_fit(kept[-HALF_BYTES:])
        missing = missing_line(self.total_bytes - len(head) - len(tail))
        return head.decode(errors="replace") + missing + tail.decode(errors="replace"), True

    def _keep(self, chunk: bytes) -> None:
        self.total_bytes += len(chunk)
        self._live.add(chunk)
        room = HALF_BYTES - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        if len(self._tail) > 2 * OUTPUT_LIMIT_BYTES:
            del self._tail[:-OUTPUT_LIMIT_BYTES]


class Live:
    """What came since it was last asked for, the latest LIVE_BYTES of it; offsets count bytes of UTF-8."""

    def __init__(self) -> None:
        self._new = bytearray()
        self._offset = 0

    def add(self, chunk: bytes) -> None:
        """Note what came."""
        self._new += chunk[-LIVE_BYTES:]
        skipped = len(chunk) - min(len(chunk), LIVE_BYTES) + max(len(self._new) - LIVE_BYTES, 0)
        if skipped:
            del self._new[:-LIVE_BYTES]
            self._offset += skipped

    def take(self) -> tuple[int, str] | None:
        """Return offset and text of the next piece, None when there is none. A character that has not come whole waits
        for the rest.
        """
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        piece = bytes(self._new[:PIECE_BYTES])
        text = decoder.decode(piece)
        if not text:
            return None
        waiting = len(decoder.getstate()[0])
        del self._new[: len(piece) - waiting]
        offset = self._offset
        self._offset += len(text.encode())
        return offset, text


def _first_that_fit(kept: bytes) -> bytes:
    """Return as much of the beginning as fits into HALF_BYTES once it is text, without half a character at its end."""
    while (size := len(kept.decode(errors="replace").encode())) > HALF_BYTES:
        kept = kept[: len(kept) * HALF_BYTES // size]
    whole = codecs.getincrementaldecoder("utf-8")("replace")
    whole.decode(kept)
    return kept[: len(kept) - len(whole.getstate()[0])]


def _last_that_fit(kept: bytes) -> bytes:
    """Return as much of the end as fits into HALF_BYTES once it is text, without half a character at its beginning."""
    while (size := len(kept.decode(errors="replace").encode())) > HALF_BYTES:
        kept = kept[len(kept) - len(kept) * HALF_BYTES // size :]
    return skip_partial_character(kept)

"""Reads one output of a program in bounded memory: keeps its beginning and its end, and shows its latest part."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any

from jobqueue import output
from jobqueue.worker.supervisor.output_file import Outputs

CHUNK_BYTES = 256 * 1024

PIPE_BYTES = 64 * 1024
LARGE_PIPE_BYTES = 512 * 1024
"""What a pipe holds at first, and what one holds that was full."""

PIECE_BYTES = 64 * 1024
"""How much live output goes into one message. As JSON it may take six times that, in several copies."""


class Capture:
    """A pipe that is read until its end. `total_bytes` is how much the program wrote so far."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.pipe = pipe
        self.total_bytes = 0
        self._head = bytearray()
        self._tail = bytearray()
        self._shown_bytes = 0
        self._live_offset = 0
        self._pipe_bytes = PIPE_BYTES
        os.set_blocking(pipe.fileno(), False)

    def read(self) -> bool:
        """Read what is in the pipe now; return whether more may come."""
        try:
            chunk = os.read(self.pipe.fileno(), CHUNK_BYTES)
        except BlockingIOError:
            return True
        if len(chunk) == self._pipe_bytes < LARGE_PIPE_BYTES:
            self._enlarge_pipe()
        self.total_bytes += len(chunk)
        room = output.HALF_BYTES - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        if len(self._tail) > 2 * output.OUTPUT_LIMIT_BYTES:
            del self._tail[: -output.OUTPUT_LIMIT_BYTES]
        return bool(chunk)

    def _enlarge_pipe(self) -> None:
        """Let the program write more before it has to wait for this process, which wakes up less often then."""
        self._pipe_bytes = LARGE_PIPE_BYTES
        with suppress(OSError):  # an ordinary user may have 64 MB in pipes
            fcntl.fcntl(self.pipe, fcntl.F_SETPIPE_SZ, LARGE_PIPE_BYTES)

    def drain(self, deadline: float) -> None:
        """Read what the program left in the pipe, until it is empty or `deadline` (monotonic) has passed."""
        # The end of the pipe may never come: a process that we could not kill may hold the other end open. An empty
        # pipe is enough, since every process that could have written before the program ended has written by now.
        while time.monotonic() < deadline:
            before = self.total_bytes
            if not self.read() or self.total_bytes == before:
                return

    def take_live(self) -> tuple[int, str] | None:
        """Return the next piece of new output, None when there is none: its offset and its text.

        Offsets count bytes of UTF-8. Output that came faster than it was taken is skipped, except for the latest
        output.LIVE_BYTES. A character that has not arrived completely waits for the rest.
        """
        skipped = max(self.total_bytes - output.LIVE_BYTES - self._shown_bytes, 0)
        self._shown_bytes += skipped
        piece = output.without_partial_end(self._at(self._shown_bytes, PIECE_BYTES))
        text = piece.decode(errors="replace")
        offset = self._live_offset + skipped
        # Where bytes are not UTF-8 the text is longer than they are, so the two positions advance separately.
        self._shown_bytes += len(piece)
        self._live_offset = offset + len(text.encode())
        return (offset, text) if text else None

    def kept(self) -> tuple[str, bool]:
        """Return the output as text, and whether a part is missing in the middle of it."""
        content, truncated = self.kept_utf8()
        return content.decode(), truncated

    def kept_utf8(self) -> tuple[bytes, bool]:
        """Return the output as UTF-8, and whether a part is missing in the middle of it.

        Bytes that are not UTF-8 become U+FFFD. A character that the cut would split is left out completely.
        """
        kept = b"".join((self._head, self._tail))
        if self.total_bytes <= output.OUTPUT_LIMIT_BYTES and len(text := _utf8(kept)) <= output.OUTPUT_LIMIT_BYTES:
            return text, False
        head, tail = _first_half(kept), _last_half(kept)
        missing = output.missing_line(self.total_bytes - len(head) - len(tail))
        return b"".join((_utf8(head), missing.encode(), _utf8(tail))), True

    def _at(self, position: int, size: int) -> bytes:
        """Return up to that many bytes of the output from a position on that is still in memory."""
        # The latest LIVE_BYTES always are, since the tail is never cut to less than OUTPUT_LIMIT_BYTES. So live output
        # needs no buffer of its own. Where a piece begins in the head, the tail follows it without a gap.
        head = self._head[position : position + size]
        first = max(position - (self.total_bytes - len(self._tail)), 0)
        return bytes(head + self._tail[first : first + size - len(head)])


def write(captures: Mapping[str, Capture]) -> tuple[Outputs, dict[str, Any]]:
    """Return outputs, and how long each of them was and whether a part of it is missing.

    Raises OSError when there is no memory for them.
    """
    texts: dict[str, bytes] = {}
    lengths: dict[str, Any] = {}
    for name, capture in captures.items():
        texts[name], truncated = capture.kept_utf8()
        lengths |= {f"{name}_bytes": capture.total_bytes, f"{name}_truncated": truncated}
    return Outputs.of(texts), lengths


def _first_half(kept: bytes) -> bytes:
    """Return as much of the beginning as fits into HALF_BYTES once it is text, cut between two characters."""
    half = kept[: output.HALF_BYTES]
    # A byte that is not UTF-8 becomes U+FFFD, which is three bytes, so a half of binary output is too long as text.
    # Nothing but decoding tells by how much. Cutting in proportion ends after two or three rounds, because binary
    # output has about as many such bytes in one place as in another; a third always fits.
    while (size := _text_size(half)) > output.HALF_BYTES:
        half = half[: len(half) * output.HALF_BYTES // size]
    return output.without_partial_end(half)


def _last_half(kept: bytes) -> bytes:
    """Return as much of the end as fits into HALF_BYTES once it is text, cut between two characters."""
    half = kept[-output.HALF_BYTES :]
    while (size := _text_size(half)) > output.HALF_BYTES:  # As in `_first_half`.
        half = half[len(half) - len(half) * output.HALF_BYTES // size :]
    return output.without_partial_beginning(half)


def _text_size(data: bytes) -> int:
    return len(_utf8(data))


def _utf8(data: bytes) -> bytes:
    """Return bytes as text in UTF-8: as they are, if they are that."""
    if data.isascii():
        return data
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode(errors="replace").encode()
    return data

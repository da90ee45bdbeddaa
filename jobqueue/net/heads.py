"""Reads the heads of HTTP answers: any interim answers before them, any number of headers, strict chunk sizes."""

from __future__ import annotations

import re
from http.client import HTTPException, HTTPResponse
from typing import IO, Any, cast

MAX_HEAD_BYTES = 65_536
"""Size of the largest head of an answer, and of the largest single line that `http.client` takes."""

MAX_INTERIM_ANSWERS = 1000
INTERIM = re.compile(rb"HTTP/1\.[0-9] 1(?!01)[0-9][0-9][ \r\n]")
"""The status line of an answer that another one follows: any 1xx but 101, which ends HTTP on the connection."""

LONGEST_LINE = 4096
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;[^\n]*)?\r?\n")


class BadChunk(HTTPException):
    """The size of a chunk cannot be read."""


class HeadTooLarge(HTTPException):
    """The answer has too many headers."""


class StrictResponse(HTTPResponse):
    """The standard library's answer, with three differences.

    Interim answers such as 102 and 103 are skipped; the library skips only 100. The number of headers is not limited
    to 100, but their size to MAX_HEAD_BYTES. Sizes of chunks are read by the letter of RFC 9112: the library reads
    them with `int`, which takes `-1` for a size, and then reads on until the connection ends.
    """

    def begin(self) -> None:
        """Read the head of the answer."""
        if self.headers is not None:
            return
        # typeshed and the library disagree about what can be read here: only `readline` and `close` are called.
        stream = self.fp
        head = cast("Any", _Head(stream))
        self.fp = head
        try:
            super().begin()
        finally:
            if self.fp is head:  # else it was closed, because the status line cannot be read
                self.fp = stream

    def _read_next_chunk_size(self) -> int:
        match = CHUNK_SIZE.fullmatch(self.fp.readline(LONGEST_LINE))
        if match is None:
            raise BadChunk
        return int(match[1], 16)


class _Head:
    """The head of an answer as `http.client` reads it line by line, with all headers in one line.

    The library counts the lines that it reads and gives up after a hundred, which is nowhere a parameter. It joins them
    before it parses them. So it does not matter to the rest of it that they arrive joined, and the limit is ours.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lines = self._read()

    def readline(self, _: int = -1) -> bytes:
        """Return the status line; then all headers; then what ends them."""
        return next(self._lines, b"")

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()

    def _read(self) -> Any:
        status = self._line(MAX_HEAD_BYTES)
        for _ in range(MAX_INTERIM_ANSWERS):
            if not INTERIM.match(status):
                break
            self._headers()
            status = self._line(MAX_HEAD_BYTES)
        yield status
        headers, end = self._headers()
        if headers:
            yield headers
        yield end

    def _headers(self) -> tuple[bytes, bytes]:
        """Return all header lines, and the empty line after them; nothing for that line when the peer has hung up."""
        lines, byte_count = [], 0
        while (line := self._line(MAX_HEAD_BYTES - byte_count)) not in (b"\r\n", b"\n", b""):
            lines.append(line)
            byte_count += len(line)
        return b"".join(lines), line

    def _line(self, most_bytes: int) -> bytes:
        line = self._stream.readline(most_bytes + 1)
        if len(line) > most_bytes:
            raise HeadTooLarge(f"the headers are larger than {MAX_HEAD_BYTES} bytes")
        return line

"""Reads the heads of HTTP answers: any interim answers before them, any number of headers, strict chunk sizes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import IO, Any, cast

MAX_HEAD_BYTES = 65_536
"""Size of the largest head of an answer, and of the largest single line that `http.client` takes."""

MAX_INTERIM_ANSWERS = 1000
INTERIM = re.compile(rb"HTTP/1\.[0-9] 1(?!01)[0-9][0-9][ \r\n]")
"""The status line of an answer that another one follows: any 1xx but 101, which ends HTTP on the connection."""

PLAIN_STATUS = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9]) ([ -~]*)\r\n")
PLAIN_HEADER = re.compile(rb"([A-Za-z][A-Za-z0-9-]*): ([!-~](?:[ -~]*[!-~])?)\r\n")
"""A status line and a header as nearly every server writes them."""

DIGITS = re.compile("[0-9]{1,15}")
WITHOUT_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)

LONGEST_LINE = 4096
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;[^\n]*)?\r?\n")


class BadChunk(HTTPException):
    """The size of a chunk cannot be read."""


class HeadTooLarge(HTTPException):
    """The answer has too many headers."""


class StrictResponse(HTTPResponse):
    """The standard library's answer, with four differences.

    Interim answers such as 102 and 103 are skipped; the library skips only 100. The number of headers is not limited
    to 100, but their size to MAX_HEAD_BYTES. Sizes of chunks are read by the letter of RFC 9112: the library reads
    them with `int`, which takes `-1` for a size, and then reads on until the connection ends. A head without any
    peculiarity is read here, with the same result: the library has it parsed as an e-mail, which takes a third of the
    time that a worker needs to read an answer.
    """

    def begin(self) -> None:
        """Read the head of the answer."""
        if self.headers is not None:
            return
        # typeshed and the library disagree about what can be read here: only `readline` and `close` are called.
        stream = self.fp
        head = cast("Any", _Head(stream))
        if self._take(head.plain()):
            return
        self.fp = head
        try:
            super().begin()
        finally:
            if self.fp is head:  # else it was closed, because the status line cannot be read
                self.fp = stream

    def _take(self, plain: tuple[int, str, list[tuple[str, str]]] | None) -> bool:
        """Take a head in which only one header, or the status, says where the body ends; return whether it is one."""
        if plain is None:
            return False
        status, reason, lines = plain
        values = {name.lower(): value for name, value in lines}
        length = "0" if status in WITHOUT_BODY else values.get("content-length", "")
        if len(values) < len(lines) or "transfer-encoding" in values or not DIGITS.fullmatch(length):
            return False
        self.code = self.status = status
        self.reason, self.version, self.chunked = reason.strip(), 11, False
        self.headers = self.msg = HTTPMessage()
        for line in lines:
            self.headers.set_raw(*line)
        is_head = self._method == "HEAD"  # type: ignore[attr-defined]  # typeshed lacks it
        self.length = 0 if is_head else int(length)
        self.will_close = "close" in values.get("connection", "").lower()
        return True

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
        self._status = self._read_status()
        self._rest: tuple[list[bytes], bytes] | None = None
        self._lines = self._read()

    def plain(self) -> tuple[int, str, list[tuple[str, str]]] | None:
        """Return status, reason and headers, if they are written as usual; None leaves them to the library."""
        status = PLAIN_STATUS.fullmatch(self._status)
        if status is None:
            return None
        lines, _ = self._rest = self._headers()
        headers = [match for match in map(PLAIN_HEADER.fullmatch, lines) if match]
        if len(headers) < len(lines):
            return None
        return int(status[1]), status[2].decode(), [(match[1].decode(), match[2].decode()) for match in headers]

    def readline(self, _: int = -1) -> bytes:
        """Return the status line; then all headers; then what ends them."""
        return next(self._lines, b"")

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()

    def _read_status(self) -> bytes:
        """Return the status line that no other one follows."""
        status = self._line(MAX_HEAD_BYTES)
        for _ in range(MAX_INTERIM_ANSWERS):
            if not INTERIM.match(status):
                break
            self._headers()
            status = self._line(MAX_HEAD_BYTES)
        return status

    def _read(self) -> Iterator[bytes]:
        yield self._status
        lines, end = self._rest or self._headers()
        if lines:
            yield b"".join(lines)
        yield end

    def _headers(self) -> tuple[list[bytes], bytes]:
        """Return all header lines, and the empty line after them; nothing for that line when the peer has hung up."""
        lines, byte_count = [], 0
        while (line := self._line(MAX_HEAD_BYTES - byte_count)) not in (b"\r\n", b"\n", b""):
            lines.append(line)
            byte_count += len(line)
        return lines, line

    def _line(self, most_bytes: int) -> bytes:
        line = self._stream.readline(most_bytes + 1)
        if len(line) > most_bytes:
            raise HeadTooLarge(f"the headers are larger than {MAX_HEAD_BYTES} bytes")
        return line

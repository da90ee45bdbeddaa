"""Redis's protocol: commands as bytes, and the values in the bytes that it answers (RESP2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import redis

Command = Sequence[str | int]
"""The words of a command."""

PIECE_BYTES = 65536
END = b"\r\n"
TEXT, MINUS = b"$-"
CLOSED = "Connection closed by server."


def packed(command: Command) -> bytes:
    """Return a command as Redis reads it."""
    parts = [b"*%d\r\n" % len(command)]
    for word in command:
        text = word.encode() if isinstance(word, str) else b"%d" % word
        parts.append(b"$%d\r\n%b\r\n" % (len(text), text))
    return b"".join(parts)


class Replies:
    """Reads the answers to commands, one after another. redis-py's own reader needs four times as long."""

    def __init__(self, receive: Callable[[int], bytes], error: Callable[[str], Exception]) -> None:
        """`receive` takes the most bytes that are wanted and returns some, none at the end of the connection; `error`
        returns the exception for an error's text.
        """
        self._receive = receive
        self._error = error
        self._data = b""
        self._at = 0

    @property
    def has_more(self) -> bool:
        """Whether more has arrived than was read."""
        return self._at < len(self._data)

    def read(self) -> Any:
        """Return the next answer: text, a number, None, a list of such, or an error that Redis answered.

        Raises redis.ConnectionError for an error that ends the connection, and at the end of it; InvalidResponse for
        what is not Redis's protocol.
        """
        answer = self._value()
        if self._at == len(self._data):
            self._data, self._at = b"", 0  # an answer may be large
        if isinstance(answer, redis.ConnectionError):
            raise answer
        return answer

    def _value(self) -> Any:
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            return None if rest == b"-1" else self._text(int(rest))
        if kind == b":":
            return int(rest)
        if kind == b"*":
            return None if rest == b"-1" else self._list(int(rest))
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return self._error(rest.decode(errors="replace"))
        raise redis.InvalidResponse(f"Protocol Error: {line!r}")

    def _list(self, count: int) -> list[Any]:
        """Return so many values. Nearly all are texts that have arrived whole, which need no further call."""
        values: list[Any] = []
        for _ in range(count):
            data, begin = self._data, self._at
            end = data.find(END, begin)
            if end < 0 or data[begin] != TEXT or data[begin + 1] == MINUS:
                values.append(self._value())
                continue
            stop = end + 2 + int(data[begin + 1 : end])
            if stop + 2 > len(data):
                values.append(self._value())
                continue
            values.append(data[end + 2 : stop].decode())
            self._at = stop + 2
        return values

    def _line(self) -> bytes:
        """Return the bytes up to the next line end."""
        while (end := self._data.find(END, self._at)) < 0:
            self._data = self._data[self._at :] + self._more()
            self._at = 0
        line = self._data[self._at : end]
        self._at = end + 2
        return line

    def _text(self, length: int) -> str:
        """Return a text of so many bytes, and skip the line end behind it."""
        missing = self._at + length + 2 - len(self._data)
        if missing > 0:
            pieces = [self._data[self._at :]]
            while missing > 0:
                pieces.append(self._more())
                missing -= len(pieces[-1])
            self._data, self._at = b"".join(pieces), 0
        begin = self._at
        self._at = begin + length + 2
        return self._data[begin : begin + length].decode()

    def _more(self) -> bytes:
        piece = self._receive(PIECE_BYTES)
        if not piece:
            raise redis.ConnectionError(CLOSED)
        return piece

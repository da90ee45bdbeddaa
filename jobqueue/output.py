"""How much of a program's output is kept: a megabyte of each stream, whole characters only.

An executor keeps the first and the last half of what a program wrote; the server keeps the first megabyte of whatever
it is told.
"""

from __future__ import annotations

from dataclasses import dataclass

OUTPUT_LIMIT_BYTES = 1_048_576
HALF_BYTES = OUTPUT_LIMIT_BYTES // 2 - 32
"""What is kept of each end of a longer output. Both, and the line between, fit into OUTPUT_LIMIT_BYTES."""

LIVE_BYTES = 256 * 1024
"""How much of the latest output is kept of a program that still runs."""

CONTINUATION, LEADING, LONGEST_REST_BYTES = 0x80, 0xC0, 3
"""In UTF-8 the bytes from the first number to the second go on with a character; at most so many do."""


def cut(text: str) -> str:
    """Return as much of the beginning of `text` as fits into OUTPUT_LIMIT_BYTES of UTF-8."""
    if len(text) * 4 <= OUTPUT_LIMIT_BYTES:
        return text
    encoded = text.encode()
    if len(encoded) <= OUTPUT_LIMIT_BYTES:
        return text
    return encoded[:OUTPUT_LIMIT_BYTES].decode(errors="ignore")


def missing_line(missing_bytes: int) -> str:
    """Return the line that stands where so many bytes of an output were left out."""
    return f"\n[... {missing_bytes} bytes omitted ...]\n"


def without_half_a_character(text: bytes) -> bytes:
    """Return UTF-8 that was cut somewhere without the end of a character that it begins with."""
    begin = 0
    while begin < min(len(text), LONGEST_REST_BYTES) and CONTINUATION <= text[begin] < LEADING:
        begin += 1
    return text[begin:]


@dataclass(frozen=True)
class Window:
    """A part of a stream of UTF-8: where it begins, counted in bytes of the whole stream, and its bytes.

    It begins and ends with whole characters, given that what is put into it does.
    """

    offset: int
    data: bytes

    @property
    def end(self) -> int:
        """Where the part after this one begins."""
        return self.offset + len(self.data)

    def append(self, offset: int, data: bytes) -> Window:
        """Return this part and the one that begins at `offset`; the latter alone when there is a gap between them."""
        return Window(self.offset, self.data + data) if offset == self.end else Window(offset, data)

    def keep_last(self, size: int) -> Window:
        """Return the last `size` bytes, or up to three fewer where a character would be cut."""
        return self.after(self.end - size) if len(self.data) > size else self

    def after(self, offset: int) -> Window:
        """Return what comes at or after `offset`, from the next whole character on; empty beyond the end."""
        first = min(max(offset, self.offset), self.end)
        data = without_half_a_character(self.data[first - self.offset :])
        return Window(self.end - len(data), data)

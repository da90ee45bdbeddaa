"""How much of a program's output is kept: one mebibyte of each stream, in whole characters.

An executor keeps the first and the last half of what a program wrote. The server keeps the first mebibyte of whatever
it receives.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

OUTPUT_LIMIT_BYTES = 1_048_576
LINE_BYTES = 64
"""Room for the line between the two ends of an output. It takes at most 46."""

HALF_BYTES = (OUTPUT_LIMIT_BYTES - LINE_BYTES) // 2
"""How much is kept of each end of a longer output. Both ends and the line between them fit into OUTPUT_LIMIT_BYTES."""

LIVE_BYTES = 256 * 1024
"""How much of the latest output of a running program is kept."""

MAX_CHARACTER_BYTES = 4
"""The length of the longest character in UTF-8."""

CONTINUATION_BYTES = range(0x80, 0xC0)
"""The bytes that continue a character in UTF-8. All others begin one."""


def cut(text: str, limit_bytes: int = OUTPUT_LIMIT_BYTES) -> str:
    """Return as much of the beginning of `text` as fits into so many bytes of UTF-8."""
    # The usual output is short. Encoding it only to count its bytes would cost more than all the rest.
    if len(text) * MAX_CHARACTER_BYTES <= limit_bytes:
        return text
    content = text.encode()
    return text if len(content) <= limit_bytes else without_partial_end(content[:limit_bytes]).decode()


def shorten(text: str, limit_bytes: int) -> str:
    """Return `text`; if it is longer than the limit, its two ends with a line between that counts what is omitted."""
    content = text.encode()
    if len(content) <= limit_bytes:
        return text
    half_bytes = limit_bytes // 2 - LINE_BYTES // 2
    if half_bytes <= 0:
        return ""
    head, tail = without_partial_end(content[:half_bytes]), without_partial_beginning(content[-half_bytes:])
    return head.decode() + missing_line(len(content) - len(head) - len(tail)) + tail.decode()


def missing_line(missing_bytes: int) -> str:
    """Return the line that stands in an output in the place of this many omitted bytes."""
    return f"\n[... {missing_bytes} bytes omitted ...]\n"


def without_partial_beginning(text: bytes) -> bytes:
    """Return UTF-8 from its first whole character on: without the rest of a character that was cut."""
    begin = 0
    while begin < min(len(text), MAX_CHARACTER_BYTES - 1) and text[begin] in CONTINUATION_BYTES:
        begin += 1
    return text[begin:]


def without_partial_end(text: bytes) -> bytes:
    """Return UTF-8 up to its last whole character: without the beginning of a character that was cut.

    Bytes that are not UTF-8, and cannot become a character by what follows, stay.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(text)
    return text[: len(text) - len(decoder.getstate()[0])]


@dataclass(frozen=True)
class Window:
    """A part of a stream of UTF-8: the offset at which it begins, in bytes of the whole stream, and its bytes.

    It begins and ends with whole characters if everything that is put into it does.
    """

    offset: int
    data: bytes

    @property
    def end(self) -> int:
        """The offset at which the next part begins."""
        return self.offset + len(self.data)

    def append(self, offset: int, data: bytes) -> Window:
        """Return this part with `data`, which begins at `offset`, after it; `data` alone if there is a gap between."""
        return Window(self.offset, self.data + data) if offset == self.end else Window(offset, data)

    def keep_last(self, size: int) -> Window:
        """Return the last `size` bytes, or up to three fewer so that no character is cut."""
        return self.after(self.end - size) if len(self.data) > size else self

    def after(self, offset: int) -> Window:
        """Return the part from `offset` on, beginning with a whole character; an empty part beyond the end."""
        first = min(max(offset, self.offset), self.end)
        data = without_partial_beginning(self.data[first - self.offset :])
        return Window(self.end - len(data), data)

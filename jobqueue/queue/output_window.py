"""How a job's output is followed: which part of it is there from a byte offset on. Arithmetic alone.

Offsets count the bytes that the program wrote to the stream. What is there of them is either the latest part of a
stream that goes on, or what was stored of one that has ended: all of it, or its head, a line that says how many bytes
are missing, and its tail.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobqueue.output import HALF_BYTES, OUTPUT_LIMIT_BYTES, Window

LONGEST_CHARACTER = 4


@dataclass(frozen=True)
class Part:
    """A part of a stream: where it begins, what it is, and what to ask for next."""

    offset: int
    data: str
    next_offset: int


def follow_live(kept: str, begin: int, offset: int) -> Part:
    """Return what is kept from `offset` on, of a stream whose kept part begins at `begin`."""
    return _from(kept.encode(), begin, offset)


def follow_stored(stored: str, total_bytes: int | None, offset: int) -> Part:
    """Return what is stored from `offset` on. `total_bytes` is the length of a stream that is not stored whole."""
    text = stored.encode()
    if total_bytes is None:
        return _from(text, 0, offset)
    if offset >= total_bytes:
        return Part(total_bytes, "", total_bytes)
    if offset <= HALF_BYTES or len(text) > OUTPUT_LIMIT_BYTES - LONGEST_CHARACTER:  # so long is only what has no tail
        part = _from(text, 0, offset)
        return Part(part.offset, part.data, total_bytes)
    tail = text[HALF_BYTES:]
    return _from(tail, total_bytes - len(tail), offset)


def _from(text: bytes, begin: int, offset: int) -> Part:
    window = Window(begin, text)
    rest = window.after(offset)
    return Part(rest.offset, rest.data.decode(), window.end)

"""Finds the part of a job's output that begins at a byte offset, for clients that follow it. Arithmetic only.

Offsets count the bytes that the program wrote to the stream. The text that is available is either the latest part of a
running program's output, or the stored output of one that has ended. Stored output is the whole stream, or its head
and its tail with a line between them that says how many bytes were omitted, or its head alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobqueue.output import HALF_BYTES, MAX_CHARACTER_BYTES, OUTPUT_LIMIT_BYTES, Window


@dataclass(frozen=True)
class Part:
    """A part of a stream: the offset at which it begins, its text, and the offset to ask for next."""

    offset: int
    data: str
    next_offset: int


def follow_live(text: str, begin: int, offset: int) -> Part:
    """Return what is available from `offset` on of a stream whose available part, `text`, begins at `begin`."""
    return _part(text.encode(), begin, offset)


def follow_stored(stored: str, total_bytes: int | None, offset: int) -> Part:
    """Return what is stored from `offset` on. `total_bytes` is the length of the stream if it is not stored whole."""
    text = stored.encode()
    if total_bytes is None:
        return _part(text, 0, offset)
    if offset >= total_bytes:
        return Part(total_bytes, "", total_bytes)
    # The head has the offsets of the stream itself. A client that has read less than the head gets all that is stored,
    # the line and the tail included, and has then reached the end.
    if offset <= HALF_BYTES or _is_head_alone(text):
        part = _part(text, 0, offset)
        return Part(part.offset, part.data, total_bytes)
    # The tail ends where the stream ends, so offsets in it are counted from there. The line belongs to it: it lies in
    # the place of the last omitted bytes, and a client that asks for omitted bytes gets it first.
    tail = text[HALF_BYTES:]
    return _part(tail, total_bytes - len(tail), offset)


def _is_head_alone(text: bytes) -> bool:
    # Nothing stored says who shortened a stream, and the reported length does not show it either: an executor counts
    # the bytes that the program wrote, but bytes that are not UTF-8 have become longer in the text. The length of the
    # text shows it.
    # `cut`, on the server, fills the limit up to the last whole character and leaves a head alone. An executor that
    # keeps a tail stays well below the limit, whatever the line says: HALF_BYTES reserves 64 bytes for a line that
    # takes at most 46. Searching for the line instead would be fooled by a program that prints such a line.
    return len(text) > OUTPUT_LIMIT_BYTES - MAX_CHARACTER_BYTES


def _part(text: bytes, begin: int, offset: int) -> Part:
    window = Window(begin, text)
    rest = window.after(offset)
    return Part(rest.offset, rest.data.decode(), window.end)

"""How much of a program's output is kept: a megabyte of each stream, whole characters only.

An executor keeps the first and the last half of what a program wrote; the server keeps the first megabyte of whatever
it is told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

OUTPUT_LIMIT_BYTES = 1_048_576
HALF_BYTES = OUTPUT_LIMIT_BYTES // 2 - 32
"""What is kept of each end of a longer output. Both, and the line between, fit into OUTPUT_LIMIT_BYTES."""

LIVE_BYTES = 256 * 1024
"""How much of the latest output is kept of a program that still runs."""

ENCODED_AT_A_TIME = 64 * 1024
"""Characters. A NUL takes six bytes in JSON, so that the whole of a binary output takes six times its memory there."""

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


def in_json(text: str) -> Iterator[bytes]:
    """Yield a text as JSON has it between the quotes, piece by piece."""
    for first in range(0, len(text), ENCODED_AT_A_TIME):
        yield json.dumps(text[first : first + ENCODED_AT_A_TIME], ensure_ascii=False)[1:-1].encode()


def missing_line(missing_bytes: int) -> str:
    """Return the line that stands where so many bytes of an output were left out."""
    return f"\n[... {missing_bytes} bytes omitted ...]\n"


def without_half_a_character(text: bytes) -> bytes:
    """Return UTF-8 that was cut somewhere without the end of a character that it begins with."""
    begin = 0
    while begin < min(len(text), LONGEST_REST_BYTES) and CONTINUATION <= text[begin] < LEADING:
        begin += 1
    return text[begin:]

"""How much of a program's output is kept: the first megabyte of each stream, whole characters only."""

from __future__ import annotations

OUTPUT_LIMIT_BYTES = 1_048_576


def cut(text: str) -> str:
    """Return as much of the beginning of `text` as fits into OUTPUT_LIMIT_BYTES of UTF-8."""
    if len(text) * 4 <= OUTPUT_LIMIT_BYTES:
        return text
    encoded = text.encode()
    if len(encoded) <= OUTPUT_LIMIT_BYTES:
        return text
    return encoded[:OUTPUT_LIMIT_BYTES].decode(errors="ignore")

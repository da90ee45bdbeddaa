"""The first line of a script, read as the kernel does."""

from __future__ import annotations

import os
from typing import BinaryIO

LONGEST_FIRST_LINE = 256


def interpreter(file: BinaryIO) -> str | None:
    """Return the path that the first line of an open file names, "" when it names none; None for what is no script."""
    file.seek(0)
    first_line = file.read(LONGEST_FIRST_LINE).split(b"\n", 1)[0]
    if not first_line.startswith(b"#!"):
        return None
    return os.fsdecode(first_line[2:].replace(b"\t", b" ").strip(b" ").split(b" ", 1)[0])

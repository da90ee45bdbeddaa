"""Makes the C library return the memory of large bodies to the system."""

from __future__ import annotations

import ctypes
from contextlib import suppress

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
LARGE_BLOCK_BYTES = 4 * 1024 * 1024
"""A block of this size gets pages of its own. Getting them takes longer than copying, so it is not for smaller ones:
with 512 KiB, gunicorn took 15 seconds to skip a body of 13 MiB, from which it takes 1 KiB at a time.
"""

KEPT_BYTES = 16 * 1024 * 1024
"""How much free memory at the end of an arena is kept for the next request."""

ARENAS = 2


def return_large_blocks() -> None:
    """Make the GNU C library give every freed block of more than LARGE_BLOCK_BYTES back at once. Other libraries do.

    By default it learns from the first large block that it frees to keep the next ones, in an arena for each thread:
    a process that once read 32 bodies of 12 MiB at a time kept 580 MB.
    """
    with suppress(OSError, AttributeError):  # there is no such function in other C libraries
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(M_ARENA_MAX, ARENAS)


def return_free_pages() -> None:
    """Make the GNU C library return every whole page that is free, also in the middle of its memory.

    A burst of many small bodies leaves hundreds of megabytes of them below a few blocks that are in use.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)

"""A flag that two processes share: one sets it, the other looks at it when it wants to know, and is not woken by it."""

from __future__ import annotations

import os
import select
from contextlib import suppress


class SharedFlag:
    """A flag in the kernel, which outlives either process. A program that one of the two starts does not have it."""

    def __init__(self, descriptor: int | None = None) -> None:
        """Make a flag that is not set, or take the one with that descriptor, which was inherited. Raises OSError."""
        if descriptor is None:
            descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._descriptor = descriptor
        os.set_inheritable(descriptor, False)

    def fileno(self) -> int:
        """Return the descriptor, for the other process to inherit."""
        return self._descriptor

    def __bool__(self) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(0))

    def set(self) -> None:
        """Set it."""
        os.eventfd_write(self._descriptor, 1)

    def clear(self) -> None:
        """Clear it."""
        with suppress(BlockingIOError):  # it is clear
            os.eventfd_read(self._descriptor)

    def close(self) -> None:
        """Free the descriptor. May be called again; nobody may use the flag then."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

"""An event that ends another thread's wait in `select.poll`."""

from __future__ import annotations

import os
from contextlib import suppress


class Waker:
    """Its descriptor is ready to be read from `set` to `clear`. Any thread may call either."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int:
        """Return the descriptor to poll."""
        return self._fd

    def set(self) -> None:
        """End the wait."""
        os.eventfd_write(self._fd, 1)

    def clear(self) -> None:
        """Let the next wait last."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._fd)

    def close(self) -> None:
        """Free the descriptor. Afterwards nothing else may be called."""
        os.close(self._fd)

"""What ends another thread's wait in `select.poll`."""

from __future__ import annotations

import os
from contextlib import suppress


class Wake:
    """Ready to be read from `set` to `clear`. To be closed when nobody waits for it; then it does nothing."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def set(self) -> None:
        """End the wait."""
        if self.fd >= 0:
            os.eventfd_write(self.fd, 1)

    def clear(self) -> None:
        """Let the next wait last."""
        if self.fd >= 0:
            with suppress(BlockingIOError):
                os.eventfd_read(self.fd)

    def close(self) -> None:
        """Free the descriptor, which is -1 from now on."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

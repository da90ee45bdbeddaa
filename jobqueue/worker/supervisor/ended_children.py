"""A descriptor that becomes readable when a child of this process has ended."""

from __future__ import annotations

import os
import signal


class EndedChildren:
    """Wakes a selector when a child has ended. For the main thread of a process that has no other use for wake-ups.

    A pidfd would do the same for one child, but sandboxes such as gVisor and older seccomp profiles refuse the calls
    that make and use one. SIGCHLD works everywhere.
    """

    def __init__(self) -> None:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        self._pipe = os.open(f"/proc/self/fd/{reader}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)  # both ends in one
        os.close(reader)
        os.close(writer)
        # Python writes to this descriptor from its C handler, so a signal between two waits is not lost: the next
        # wait returns at once. The Python handler has nothing to do, but without one there is no C handler.
        signal.set_wakeup_fd(self._pipe, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def fileno(self) -> int:
        """Return the descriptor. Other signals make it readable, too, so examine the children each time."""
        return self._pipe

    def clear(self) -> None:
        """Forget the wake-ups so far. Call it before the children are examined, never after."""
        while True:
            try:
                os.read(self._pipe, 4096)
            except BlockingIOError:
                return

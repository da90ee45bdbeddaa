"""What is asked about the client of a request that waits."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Client(Protocol):
    """The client of a request. The HTTP server knows it; the queue only asks these questions."""

    def is_connected(self) -> bool:
        """Whether the client has not closed its connection, and may still ask for what it waits for."""

    def may_wait(self) -> bool:
        """Whether the server has room for another request that waits."""

    def waiting(self) -> AbstractContextManager[None]:
        """Let other requests run meanwhile, and leave the time out of the time limit of this one."""

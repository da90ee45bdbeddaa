"""Host names, looked up for no longer than somebody has patience."""

from __future__ import annotations

import errno
import os
import queue
import socket
import threading
from collections.abc import Callable
from typing import Any

Address = tuple[Any, ...]
"""What `socket.getaddrinfo` finds."""


def look_up(host: str, port: int, patience: Callable[[], float]) -> list[Address]:
    """Return a host's addresses. Raises OSError, or ValueError for what is no name, and what `patience` raises: it is
    asked again and again for how many seconds to wait at most before it is asked next.

    Nothing can interrupt the look-up, so a thread of its own does it.
    """
    answers = queue.SimpleQueue[list[Address] | Exception]()

    def ask() -> None:
        try:
            answers.put([*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)])
        except OverflowError as error:  # of a port
            answers.put(ValueError(str(error)))
        except (OSError, ValueError) as error:
            answers.put(error)

    try:
        threading.Thread(target=ask, name="look-up", daemon=True).start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
    while True:
        try:
            answer = answers.get(timeout=patience())
        except queue.Empty:
            continue
        if isinstance(answer, Exception):
            raise answer
        return answer

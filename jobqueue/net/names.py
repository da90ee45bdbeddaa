"""DNS look-ups with a time limit."""

from __future__ import annotations

import errno
import os
import socket
import threading
from concurrent.futures import Future, wait
from typing import Any

from jobqueue.net.time_limit import TimeLimit

MAX_PORT = 65_535
Address = tuple[Any, ...]
"""One result of `socket.getaddrinfo`: family, type, protocol, canonical name, socket address."""


def look_up(host: str, port: int, limit: TimeLimit) -> list[Address]:
    """Return the addresses of a server.

    Raises OSError, which is a `socket.gaierror` when the name has no address, its name is malformed or the port is out
    of range, and what `limit.check` raises.
    """
    if not 0 <= port <= MAX_PORT:  # getaddrinfo takes some of them for another port, modulo 65,536
        raise socket.gaierror(socket.EAI_SERVICE, f"{port} is not a port")
    addresses = Future[list[Address]]()

    def resolve() -> None:
        try:
            addresses.set_result([*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)])
        except ValueError:  # a label that is empty or too long
            addresses.set_exception(socket.gaierror(socket.EAI_NONAME, "the server's name cannot be read"))
        except OSError as error:
            addresses.set_exception(error)

    # Nothing can interrupt getaddrinfo, which asks silent name servers for half a minute and more. So a thread of its
    # own calls it. When the time limit ends first we leave that thread behind: it ends with the look-up.
    try:
        threading.Thread(target=resolve, name="look-up", daemon=True).start()
    except RuntimeError as error:  # the machine is out of threads
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
    while not wait([addresses], limit.check()).done:
        pass
    return addresses.result()

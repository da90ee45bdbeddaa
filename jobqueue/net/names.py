"""DNS look-ups with a time limit."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from concurrent.futures import Future, wait
from typing import Any

from jobqueue.net.time_limit import TimeLimit

MAX_PORT = 65_535

MAX_LOOK_UPS = 64
"""Look-ups under way at once, in the whole process."""

MAX_LOOK_UPS_PER_NAME = 3
JOIN_SECONDS = 5.0
"""For how long a look-up is joined by others who want the same name, instead of another one."""

Address = tuple[Any, ...]
"""One result of `socket.getaddrinfo`: family, type, protocol, canonical name, socket address."""


def look_up(host: str, port: int, limit: TimeLimit) -> list[Address]:
    """Return the addresses of a server.

    Raises OSError, which is a `socket.gaierror` when the name has no address, its name is malformed or the port is out
    of range, and what `limit.check` raises.
    """
    if not 0 <= port <= MAX_PORT:  # getaddrinfo takes some of them for another port, modulo 65,536
        raise socket.gaierror(socket.EAI_SERVICE, f"{port} is not a port")
    addresses = _look_ups.join(host, port)
    while not wait([addresses], limit.check()).done:
        pass
    return [*addresses.result()]


class _LookUps:
    """The look-ups that are under way. Whoever wants the same name joins one of them.

    Nothing can interrupt getaddrinfo, which asks silent name servers for half a minute and more. So a thread of its own
    calls it. When a time limit ends first we leave that thread behind: it ends with the look-up. How many can be left
    behind is bounded, for each name and in all.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[tuple[str, int], list[tuple[float, Future[list[Address]]]]] = {}

    def join(self, host: str, port: int) -> Future[list[Address]]:
        """Return the latest look-up of a name, or begin another one when there is none but old ones. Raises OSError."""
        key, now = (host, port), time.monotonic()
        with self._lock:
            same = self._under_way.get(key, [])
            # An old one may hang although the name servers are back, so that another one would be answered at once.
            if same and (now - same[-1][0] < JOIN_SECONDS or len(same) >= MAX_LOOK_UPS_PER_NAME):
                return same[-1][1]
            if sum(map(len, self._under_way.values())) >= MAX_LOOK_UPS:
                raise socket.gaierror(socket.EAI_AGAIN, "too many names are being looked up")
            addresses = Future[list[Address]]()
            self._under_way.setdefault(key, []).append((now, addresses))
        try:
            threading.Thread(target=self._resolve, args=(key, addresses), name="look-up", daemon=True).start()
        except RuntimeError as error:  # the machine is out of threads
            self._end(key, addresses)
            failure = OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            addresses.set_exception(failure)  # for those who have joined meanwhile
            raise failure from error
        return addresses

    def _resolve(self, key: tuple[str, int], addresses: Future[list[Address]]) -> None:
        result: list[Address] = []
        failure: Exception | None = None
        try:
            result = [*socket.getaddrinfo(*key, type=socket.SOCK_STREAM)]
        except ValueError:  # a label that is empty or too long
            failure = socket.gaierror(socket.EAI_NONAME, "the server's name cannot be read")
        except Exception as error:  # noqa: BLE001  # whatever it is, it is for those who wait
            failure = error
        self._end(key, addresses)
        if failure is None:
            addresses.set_result(result)
        else:
            addresses.set_exception(failure)

    def _end(self, key: tuple[str, int], addresses: Future[list[Address]]) -> None:
        with self._lock:
            left = [each for each in self._under_way[key] if each[1] is not addresses]
            if left:
                self._under_way[key] = left
            else:
                del self._under_way[key]


# The threads that it bounds belong to the process, so it does, too.
_look_ups = _LookUps()

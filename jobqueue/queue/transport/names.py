"""DNS look-ups that share one another's answers, so that a name server that hangs piles up no threads."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any

from jobqueue.queue.transport.limits import current

Place = tuple[Any, ...]
"""One result of `socket.getaddrinfo`: family, type, protocol, canonical name, socket address."""

PATIENCE_SECONDS = 0.5
"""How long a look-up may take before the next caller begins another one."""
MAX_LOOK_UPS = 4


@dataclass
class Names:
    """Looks up the addresses of one server.

    Nothing interrupts `getaddrinfo`, which asks silent name servers for half a minute and more. So it runs in a thread
    that is left behind when the time limit ends first. Callers share a look-up that is under way. When it takes long,
    another one is begun, because its question may have got lost; but there are never more than MAX_LOOK_UPS.
    """

    host: str
    port: int
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _under_way: list[Future[list[Place]]] = field(default_factory=list)
    _begun_at: float = 0.0

    def look_up(self) -> list[Place]:
        """Return the addresses. Raises OSError, which is TimeoutError when the time limit ends first."""
        try:  # an address in figures needs no name server, hence no thread
            return self._resolve(socket.AI_NUMERICHOST)
        except socket.gaierror:
            pass
        limit = current()
        while limit.left_seconds > 0:
            done, _ = wait(self._shared(), min(PATIENCE_SECONDS, limit.left_seconds), FIRST_COMPLETED)
            if done:
                return done.pop().result()
        raise TimeoutError("the name server does not answer")

    def _shared(self) -> list[Future[list[Place]]]:
        """Return the look-ups under way, a new one among them if there is none or the latest is slow."""
        with self._lock:
            self._under_way = [each for each in self._under_way if not each.done()]
            slow = time.monotonic() - self._begun_at >= PATIENCE_SECONDS
            if not self._under_way or (slow and len(self._under_way) < MAX_LOOK_UPS):
                self._under_way.append(self._begin())
                self._begun_at = time.monotonic()
            return list(self._under_way)

    def _begin(self) -> Future[list[Place]]:
        answer = Future[list[Place]]()

        def resolve() -> None:
            try:
                answer.set_result(self._resolve())
            except Exception as error:  # noqa: BLE001  # the callers get whatever it is
                answer.set_exception(error)

        try:
            threading.Thread(target=resolve, name="redis-look-up", daemon=True).start()
        except RuntimeError:  # the machine is out of threads
            answer.set_exception(OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)))
        return answer

    def _resolve(self, flags: int = 0) -> list[Place]:
        try:
            return [*socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM, flags=flags)]
        except ValueError:  # a label that is empty or too long
            raise socket.gaierror(socket.EAI_NONAME, "the name cannot be read") from None

"""Listeners that nobody may connect to, and a host that leads there by redirects."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

FAMILIES = {"0.0.0.0": socket.AF_INET, "::": socket.AF_INET6}  # every address of this machine is a trap
LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


@dataclass
class Traps:
    """One port at every address of this machine, IPv4 and IPv6. The system accepts connections, and nobody answers."""

    port: int
    listeners: list[socket.socket] = field(default_factory=list)

    def caught(self) -> list[str]:
        """Return the addresses that were connected to since the last call."""
        return [address for listener in self.listeners for address in _accepted(listener, self.port)]


def _accepted(listener: socket.socket, port: int) -> Iterator[str]:
    # A connection of our own comes last: what was there before it has been accepted when that arrives.
    with socket.socket(listener.family) as own:  # not by name: a test may have replaced look-ups
        own.settimeout(10)
        own.connect((LOOPBACK[listener.family], port))
        while True:
            connection, peer = listener.accept()
            with closing(connection):
                if peer[:2] == own.getsockname()[:2]:
                    return
                yield str(connection.getsockname()[0])


@contextmanager
def trapping() -> Iterator[Traps]:
    """Set the traps on a port of their own."""
    with ExitStack() as stack:
        traps = Traps(0)
        for address, family in FAMILIES.items():
            listener = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listener.settimeout(10)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((address, traps.port))
            listener.listen(128)
            traps.port = listener.getsockname()[1]
            traps.listeners.append(listener)
        yield traps

"""Free ports for the servers that tests start."""

from __future__ import annotations

import random
import socket


def free_port() -> int:
    """Return a port on which nothing listens.

    It lies below the ports that the kernel gives to outgoing connections (from 32768 on), so none of those takes it
    before the server does. It is chosen at random, so tests that run at the same time hardly ever choose the same.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port

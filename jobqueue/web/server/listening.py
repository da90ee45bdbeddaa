"""The addresses of the API, and the sockets that listen on them."""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from gunicorn.sock import TCP6Socket, TCPSocket

EVERY_IPV4, EVERY_IPV6 = "0.0.0.0", "::"  # noqa: S104  # as platforms require
IN_USE_SECONDS = 5.0
"""How long a new server waits for a port: its predecessor may be ending."""

POLL_SECONDS = 0.1
MAPPED_IPV4 = "::ffff:"


def bind_texts(hosts: Sequence[str], port: int) -> list[str]:
    """Return gunicorn's setting `bind` for these addresses and names; for all of this machine if there are none."""
    bare = [host.strip("[]") for host in hosts] or [EVERY_IPV6 if has_ipv6() else EVERY_IPV4]
    return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host in bare]


def has_ipv6() -> bool:
    """Whether one socket of this machine can listen on all its IPv6 and IPv4 addresses."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            probe.bind((EVERY_IPV6, 0))
    except OSError:
        return False
    return True


def open_listeners(arbiter: Any) -> None:
    """Listen on gunicorn's addresses. Ends the process with a sentence where that is impossible.

    gunicorn does so itself when it inherits the sockets (systemd, SIGUSR2) and for Unix sockets. Otherwise its way has
    three faults: whether [::] takes IPv4 depends on the machine, a host name means only its first IPv4 address, and a
    port that is in use takes five lines to report.
    """
    config = arbiter.cfg
    inherited = arbiter.LISTENERS or arbiter.master_pid or os.environ.get("LISTEN_FDS") or config.reuse_port
    if inherited or not all(isinstance(address, tuple) for address in config.address):
        return
    addresses = dict.fromkeys(found for host, port in config.address for found in _resolved(host, port))
    # With both wildcards, the one of IPv6 must leave IPv4 to the other one.
    both = not any(address[0] == EVERY_IPV4 for address in addresses)
    arbiter.LISTENERS = [_listening(address, both, arbiter) for address in addresses]


class _IPv4Socket(TCPSocket):
    """A socket that is closed when it cannot be bound."""

    def bind(self, sock: socket.socket) -> None:
        try:
            super().bind(sock)
        except OSError:
            sock.close()
            raise


class _IPv6Socket(_IPv4Socket, TCP6Socket):
    """A socket of which we say whether it takes IPv4 as well; the default differs between machines."""

    only_ipv6 = True

    def bind(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, self.only_ipv6)
        super().bind(sock)


class _DualStackSocket(_IPv6Socket):
    """A socket that takes IPv6 and IPv4."""

    only_ipv6 = False


def _resolved(host: str, port: int) -> Iterator[tuple[Any, ...]]:
    """Yield the socket addresses of an address or host name, in the form that `bind` takes."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        sys.exit(f"The server cannot listen on {host!r}: {getattr(error, 'strerror', None) or error}.")
    for _, _, _, _, address in found:
        yield address


def _listening(address: tuple[Any, ...], both: bool, arbiter: Any) -> Any:
    """Return a socket that listens on this address."""
    kind: Any = _IPv4Socket
    if ":" in address[0]:
        kind = _DualStackSocket if both and address[0] == EVERY_IPV6 else _IPv6Socket
    give_up_at = time.monotonic() + IN_USE_SECONDS
    while True:
        try:
            return kind(address, arbiter.cfg, arbiter.log)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > give_up_at:
                sys.exit(f"The server cannot listen on {address[0]}, port {address[1]}: {error.strerror}.")
        time.sleep(POLL_SECONDS)


def plain(address: Any) -> Any:
    """Return a client's address, that of an IPv4 client without the prefix that a socket for IPv6 gives it."""
    if not isinstance(address, tuple) or "." not in address[0]:
        return address
    return (address[0].removeprefix(MAPPED_IPV4), *address[1:2])

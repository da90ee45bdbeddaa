"""Connects to the first of several addresses that answers, and remembers which ones led nowhere."""

from __future__ import annotations

import errno
import select
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Any

from jobqueue.net.names import Address
from jobqueue.net.sockets import GovernedSocket, governor, no_connection

HEAD_START_SECONDS = 0.25
"""How long an address may take before the next one is tried beside it, as RFC 8305 recommends."""

SUSPECT_SECONDS = 60.0
"""For how long an address that led nowhere is tried after all others of its name."""

MAX_SUSPECTS = 1000

SocketOptions = Sequence[tuple[int, int, Any]]


class Suspects:
    """Addresses whose connections passed nothing or broke off. Any thread may use it.

    Such an address is still tried, last: it may be the only one.
    """

    def __init__(self) -> None:
        self._until: dict[Any, float] = {}
        self._lock = threading.Lock()

    def add(self, place: Any) -> None:
        """Note that a connection to this socket address led nowhere."""
        with self._lock:
            if len(self._until) >= MAX_SUSPECTS:
                self._until.clear()
            self._until[place] = time.monotonic() + SUSPECT_SECONDS

    def clear(self, place: Any) -> None:
        """Note that this socket address has answered."""
        with self._lock:
            self._until.pop(place, None)

    def last(self, addresses: Iterable[Address]) -> list[Address]:
        """Return the addresses, IPv6 and IPv4 in turns (RFC 8305), with suspects behind all others."""
        now, turns, ranked = time.monotonic(), Counter[Any](), []
        with self._lock:
            for address in addresses:
                family, place = address[0], address[4]
                ranked.append((self._until.get(place, 0) > now, turns[family], address))
                turns[family] += 1
        return [address for *_, address in sorted(ranked, key=lambda each: each[:2])]


def connect_to_first(addresses: Sequence[Address], seconds: float, options: SocketOptions) -> GovernedSocket:
    """Return a connection to the first address that accepts one, within `seconds` for each.

    An address gets a head start. Then the next one is tried beside it, so that an address that nobody answers at, such
    as that of an IPv6 network that leads nowhere, does not use up the time limit. Raises OSError when no address
    accepts, and what the time limit raises.
    """
    race = _Race(addresses, seconds, options)
    try:
        while (winner := race.step()) is None:
            continue
    except BaseException:
        race.close()
        raise
    race.close(winner)
    winner.settimeout(seconds)  # `ssl` refuses to shake hands on a socket that does not block
    return winner


class _Race:
    """The attempts to connect that are under way, and the addresses that have not been tried yet."""

    def __init__(self, addresses: Sequence[Address], seconds: float, options: SocketOptions) -> None:
        self._untried = deque(addresses)
        self._seconds = seconds
        self._options = options
        self._attempts: dict[int, tuple[GovernedSocket, float]] = {}
        self._next_start = 0.0
        self._failure: OSError = OSError(errno.EHOSTUNREACH, "the server has no address")

    def step(self) -> GovernedSocket | None:
        """Begin the next attempt when it is due, and wait a little; return a connection once there is one.

        Raises the error of the last address when none is left.
        """
        now = time.monotonic()
        if self._untried and (not self._attempts or now >= self._next_start):
            return self._begin(self._untried.popleft(), now)
        if not self._attempts:
            raise self._failure
        return self._wait(now)

    def close(self, winner: GovernedSocket | None = None) -> None:
        """Close every attempt but the winner."""
        for opened, _ in self._attempts.values():
            if opened is not winner:
                opened.close()

    def _begin(self, address: Address, now: float) -> GovernedSocket | None:
        family, kind, protocol, _, place = address
        self._next_start = now + HEAD_START_SECONDS
        try:
            opened = GovernedSocket(family, kind, protocol)
        except OSError as error:
            self._failure = error
            return None
        self._attempts[opened.fileno()] = opened, now + self._seconds
        try:
            for option in self._options:
                opened.setsockopt(*option)
            return opened if opened.begin_connecting(place, self._seconds) else None
        except OSError as error:
            self._fail(opened, error)
            return None

    def _wait(self, now: float) -> GovernedSocket | None:
        ends = [end for _, end in self._attempts.values()] + ([self._next_start] if self._untried else [])
        poll = select.poll()
        for number in self._attempts:
            poll.register(number, select.POLLOUT)
        ready = poll.poll(max(min(governor().limit.check(), min(ends) - now), 0.001) * 1000)
        for number, _ in ready:
            opened, _ = self._attempts[number]
            try:
                if opened.finish_connecting():
                    return opened
            except OSError as error:
                self._fail(opened, error)
        for opened, end in list(self._attempts.values()):
            if time.monotonic() >= end:
                self._fail(opened, no_connection(self._seconds))
        return None

    def _fail(self, opened: GovernedSocket, error: OSError) -> None:
        """Give up an attempt. The next address is tried at once."""
        self._failure, self._next_start = error, 0.0
        del self._attempts[opened.fileno()]
        opened.close()

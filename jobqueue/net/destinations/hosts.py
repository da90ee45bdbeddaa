"""Patterns of servers: `host` (any port), `host:port`, `*.domain` or `*.domain:port` (every name below the domain).

Both the server and the worker read them from BINARY_HOSTS. Nothing here needs an HTTP library, which the server does
without.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Self

from jobqueue.settings import Setting, allow, declare

PATTERN = re.compile(
    r"(?P<below>\*\.)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s\x00-\x20:/?#@\\\[\]*,%]+)(:(?P<port>[0-9]{1,5}))?"
)
ZONE = re.compile(r"%[^\]]*")
NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
MAX_PORT = 65_535

Server = tuple[str, int | None]
"""A host as `normal` returns it, and a port, None for any."""


@dataclass(frozen=True)
class Hosts:
    """The servers that fit one of several patterns. Without patterns there is none, and `bool` is False."""

    exact: frozenset[Server] = frozenset()
    domains: tuple[Server, ...] = ()

    @classmethod
    def of(cls, patterns: Iterable[str]) -> Self:
        """Return the servers that fit one of the patterns. Raises ValueError for what is no pattern."""
        exact, domains = set[Server](), []
        for pattern in patterns:
            below, server = _parsed(pattern)
            if below:
                domains.append(server)
            else:
                exact.add(server)
        return cls(frozenset(exact), tuple(domains))

    def __bool__(self) -> bool:
        return bool(self.exact or self.domains)

    def include(self, host: str, port: int) -> bool:
        """Whether a server fits one of the patterns. `host` is as a URL has it: an IPv6 address in brackets."""
        try:
            name = normal(host)
        except ValueError:
            return False
        if (name, None) in self.exact or (name, port) in self.exact:
            return True
        return any(name.endswith(domain) and port_of in (None, port) for domain, port_of in self.domains)


def normal(host: str) -> str:
    """Return a host in the one form that is compared: in lower case and ASCII, without a final dot; an IPv6 address in
    brackets, as short as possible and without its zone. Raises ValueError for what is no host.
    """
    name = host.lower().removesuffix(".")
    if name.startswith("["):
        return f"[{IPv6Address(ZONE.sub('', name).strip('[]'))}]"
    if not name.isascii():
        name = _in_ascii(name)
    return allow(name, NAME.fullmatch(name))


def binary_hosts() -> tuple[str, ...]:
    """Declare BINARY_HOSTS, which the server applies to a job when it is submitted, and the worker to every request."""
    return patterns("BINARY_HOSTS", "where programs may come from", "any")


def patterns(name: str, meaning: str, default_text: str) -> tuple[str, ...]:
    """Declare a setting that is a list of patterns, separated by commas."""

    def parse(text: str) -> tuple[str, ...]:
        # Nothing but commas is refused: a list that is empty by accident would allow every host.
        listed = tuple(word.strip() for word in text.split(",") if word.strip())
        return allow(listed, Hosts.of(listed))

    allowed = "hosts (host, host:port or *.domain), with commas between"
    return declare(Setting(name, (), parse, allowed, meaning, default_text))


def _parsed(pattern: str) -> tuple[bool, Server]:
    """Return whether a pattern is for the names below a domain, and the server or the domain with its dot."""
    match = PATTERN.fullmatch(pattern)
    if match is None or int(match["port"] or 1) not in range(1, MAX_PORT + 1):
        raise ValueError("not a host, host:port or *.domain")
    below, port = match["below"] is not None, int(match["port"]) if match["port"] else None
    return below, (f"{'.' * below}{normal(match['host'])}", port)


def _in_ascii(name: str) -> str:
    import idna  # noqa: PLC0415  # large, and needed for names outside of ASCII only

    try:
        return idna.encode(name, uts46=True, std3_rules=True).decode()
    except idna.IDNAError as error:
        raise ValueError(name) from error

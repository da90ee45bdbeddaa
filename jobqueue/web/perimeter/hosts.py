"""Which values of the header `Host` name this server while the API is open.

A page of another site cannot read the answers of this server, unless its own host name leads here: by DNS rebinding,
`evil.example` first names the host of the page, then 127.0.0.1. The browser then takes this server for the page's own.
Nothing but the header `Host` shows it. So it must be a host that nobody else can own: an IP address, a name that no
public name server answers for, or one that the operator has listed.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from jobqueue.web.perimeter import authority

PRIVATE_DOMAINS = (".local", ".localhost", ".internal", ".lan", ".test", ".home.arpa")
"""Names below these belong to a local network or to one machine: the public DNS has none of them."""

KEPT_VERDICTS = 512
"""How many different values of `Host` are remembered. Whoever sends more makes each cost some microseconds."""


class Hosts:
    """The hosts by which this server may be called."""

    def __init__(self, own_names: Iterable[str] = (), allowed: Iterable[str] = ()) -> None:
        """Allow these names besides those that nobody can own. `allowed` are names, `*.domain` (every name below it) or
        `*` (every host).
        """
        patterns = [pattern.lower().removesuffix(".") for pattern in allowed]
        self._names = {*own_names, *(pattern for pattern in patterns if "*" not in pattern)}
        self._endings = (*PRIVATE_DOMAINS, *(pattern[1:] for pattern in patterns if pattern.startswith("*.")))
        self._all = "*" in patterns
        self._remembered = lru_cache(KEPT_VERDICTS)(self._allows)

    def allows(self, host: str) -> bool:
        """Whether a value of `Host` names this server."""
        return len(host) <= authority.MAX_CHARACTERS and self._remembered(host)

    def _allows(self, text: str) -> bool:
        parsed = authority.parse(text)
        if parsed is None:
            return False
        name = parsed.name
        return self._all or parsed.is_address or "." not in name or name in self._names or name.endswith(self._endings)

"""The browser rule and the host rule: which requests are answered at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jobqueue.errors import CrossOrigin, UnknownHost
from jobqueue.web.config import ServerSettings
from jobqueue.web.perimeter.browsers import is_cross_origin
from jobqueue.web.perimeter.hosts import Hosts
from jobqueue.web.perimeter.own_names import own_names
from jobqueue.web.perimeter.proxies import ORIGINAL

SHOWN_CHARACTERS = 200
_absolute = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")


@dataclass(frozen=True)
class Perimeter:
    """What the checks depend on.

    hosts: the hosts by which the server may be called while the API is open. is_open: whether it is, that is, whether
    no tokens are configured. With tokens, a page of another site can do nothing even if its name leads here.
    trusted_proxies: how many proxies in front of the server are believed.
    """

    hosts: Hosts = field(default_factory=Hosts)
    is_open: bool = True
    trusted_proxies: int = 0

    def check(self, environ: Mapping[str, Any]) -> None:
        """Raise CrossOrigin or UnknownHost for a request that must not be answered."""
        if is_cross_origin(environ):
            raise CrossOrigin
        for host in named_hosts(environ):
            if not host:
                raise UnknownHost("The request has no header Host")
            if self.is_open and not self.hosts.allows(host):
                raise UnknownHost(host=host[:SHOWN_CHARACTERS])


def configured(settings: ServerSettings, variables: Mapping[str, str]) -> Perimeter:
    """Return the perimeter that the settings and the platform's variables describe."""
    return Perimeter(Hosts(own_names(variables), settings.allowed_hosts), settings.is_open, settings.trusted_proxies)


def named_hosts(environ: Mapping[str, Any]) -> Iterator[str | None]:
    """Yield every host that a request names, None or "" for one that is missing. All have to be allowed.

    - `Host`, or what a trusted proxy says about it.
    - `Host` as it came. A server that trusts a proxy can often be reached beside it, and there a page could name any
      host in `X-Forwarded-Host`.
    - The host in the request line, as requests to a proxy have it. HTTP says that it counts and `Host` does not, but
      gunicorn ignores it.
    """
    yield environ.get("HTTP_HOST")
    if ORIGINAL in environ:
        yield environ[ORIGINAL]["HTTP_HOST"]
    target = environ.get("RAW_URI", "/")
    if target[:1] != "/" and (absolute := _absolute.match(target)):
        yield absolute[1]

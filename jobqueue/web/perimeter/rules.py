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

SHOWN_CHARACTERS = 200
_absolute = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")


@dataclass(frozen=True)
class Perimeter:
    """What the checks depend on.

    hosts: the hosts by which the server may be called while the API is open. is_open: whether it is, that is, whether
    no tokens are configured. With tokens, a page of another site can do nothing even if its name leads here.
    """

    hosts: Hosts = field(default_factory=Hosts)
    is_open: bool = True

    def check(self, environ: Mapping[str, Any]) -> None:
        """Raise CrossOrigin or UnknownHost for a request that must not be answered."""
        if is_cross_origin(environ):
            raise CrossOrigin
        host = environ.get("HTTP_HOST")
        if not host:
            raise UnknownHost("The request has no header Host")
        if self.is_open:
            self._check_host(host)
            for other in other_hosts(environ):
                self._check_host(other)

    def _check_host(self, host: str) -> None:
        if not self.hosts.allows(host):
            raise UnknownHost(host=host[:SHOWN_CHARACTERS])


def configured(settings: ServerSettings, variables: Mapping[str, str]) -> Perimeter:
    """Return the perimeter that the settings and the platform's variables describe."""
    return Perimeter(Hosts(own_names(variables), settings.allowed_hosts), settings.is_open)


def other_hosts(environ: Mapping[str, Any]) -> Iterator[str]:
    """Yield the hosts that a request names outside of `Host`: in its request line, as requests to a proxy do.

    HTTP says that this one counts and `Host` does not. gunicorn ignores it. So both have to be allowed.
    """
    target = environ.get("RAW_URI", "/")
    if target[:1] != "/" and (absolute := _absolute.match(target)):
        yield absolute[1]

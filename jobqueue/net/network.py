"""The way to other machines: the proxies, the trusted certificates and the memory of dead addresses that all share."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from jobqueue import logs
from jobqueue.net import proxies, trust
from jobqueue.net.addresses import Suspects
from jobqueue.net.connections import Connection, TlsConnection
from jobqueue.net.proxies import Proxies
from jobqueue.net.urls import Url


class Network:
    """Makes connections. Any thread may use it."""

    def __init__(self, proxies: Proxies | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._proxies = proxies or Proxies()
        self._given_tls = tls
        self.suspects = Suspects()

    def connection(self, url: Url, connect_seconds: float) -> Connection:
        """Return a connection to the server of a URL, not connected yet.

        `connect_seconds` is the time limit of connecting to one of its addresses.
        """
        host = url.host.strip("[]")
        if url.scheme == "https":
            made: Connection = TlsConnection(host, url.port, timeout=connect_seconds, ssl_context=self._tls)
        else:
            made = Connection(host, url.port, timeout=connect_seconds)
        made.via = self._proxies.for_url(url)
        made.suspects = self.suspects
        return made

    def is_proxied(self, url: Url) -> bool:
        """Whether the server of a URL is requested through a proxy, which then looks up its name."""
        return self._proxies.for_url(url) is not None

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made when it is first needed. Two threads may both make it: no harm."""
        return self._given_tls or trust.load(None, {})


def load(ca_file: Path | None, variables: Mapping[str, str]) -> Network:
    """Return the network as the settings describe it, and log its proxies. Raises InvalidSetting."""
    found = proxies.load(variables)
    if found.http or found.https:
        shown = {"http": str(found.http or "none"), "https": str(found.https or "none")}
        logs.logger().info("proxies", **shown, direct=",".join(found.direct) or "none")
    return Network(found, trust.load(ca_file, variables))

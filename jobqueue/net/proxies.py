"""Which proxy a request goes through, as HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY say."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.parse import unquote

from jobqueue.net.urls import Url
from jobqueue.settings import InvalidSetting


class ProxyFailed(OSError):
    """The proxy cannot be reached, or did not connect us. The message names it."""


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy. `credentials` are `user:password`, percent-encoded."""

    host: str
    port: int
    credentials: str | None = None

    def __str__(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers that are for the proxy."""
        return {} if self.credentials is None else {"Proxy-Authorization": basic(self.credentials)}

    def failed(self, reason: str, number: int | None = None) -> ProxyFailed:
        """Return what to raise when the proxy is at fault. `number` is that of a system error."""
        return ProxyFailed(number, f"the proxy {self} {reason}")


@dataclass(frozen=True)
class Proxies:
    """The proxies for URLs with the schemes http and https, and the hosts that are requested directly."""

    http: Proxy | None = None
    https: Proxy | None = None
    direct: tuple[str, ...] = ()

    def for_url(self, url: Url) -> Proxy | None:
        """Return the proxy for a URL; None when its host is requested directly, as this machine always is."""
        proxy = self.https if url.scheme == "https" else self.http
        if proxy is None or _is_local(url.host) or any(_fits(url, pattern) for pattern in self.direct):
            return None
        return proxy


def load(variables: Mapping[str, str]) -> Proxies:
    """Return the proxies that the variables name, in either case. Raises InvalidSetting for one of another kind."""
    listed = variables.get("no_proxy") or variables.get("NO_PROXY") or ""
    direct = tuple(pattern.lower() for pattern in re.split(r"[,\s]+", listed) if pattern)
    return Proxies(_proxy("http", variables), _proxy("https", variables), direct)


def basic(credentials: str) -> str:
    """Return the value of a header that sends `user:password`, percent-encoded as in a URL."""
    return f"Basic {b64encode(unquote(credentials).encode()).decode()}"


def _proxy(scheme: str, variables: Mapping[str, str]) -> Proxy | None:
    for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY"):
        if text := variables.get(name, "").strip():
            return _parsed(name, text)
    return None


def _parsed(name: str, text: str) -> Proxy:
    try:
        url = Url.parse(text if "://" in text else f"http://{text}")
    except ValueError:
        raise InvalidSetting(f"{name} must be the URL of a proxy, such as http://proxy.example:3128.") from None
    if url.scheme != "http":
        raise InvalidSetting(
            f"{name} names a proxy of the kind {url.scheme[:20]!r}, which is not supported: use an HTTP proxy, such as "
            "http://proxy.example:3128, or leave the variable out."
        )
    return Proxy(url.host, url.port, url.credentials)


def _is_local(host: str) -> bool:
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def _fits(url: Url, pattern: str) -> bool:
    """Whether a host fits an entry of NO_PROXY: `*`, a domain with all names below it, an address or a network.

    A domain or an address may be followed by a port.
    """
    if pattern == "*":
        return True
    host = url.host.strip("[]")
    try:
        network = ip_network(pattern.strip("[]"), strict=False)
    except ValueError:
        name, _, port = pattern.rpartition(":") if re.search(r":[0-9]+$", pattern) else (pattern, "", "")
        name = name.strip("[]").removeprefix("*").strip(".")
        return bool(name) and (host == name or host.endswith(f".{name}")) and port in ("", str(url.port))
    try:
        return ip_address(host) in network
    except ValueError:
        return False

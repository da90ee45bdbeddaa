"""Reads what proxies say about the original request, from as many of them as the operator trusts.

Each proxy adds a value to `X-Forwarded-For` and its like, so with n trusted proxies the n-th value from the end is the
last one that none but they can have written. Everything before it may have been sent by the client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import IPv6Address, ip_address
from typing import Any, cast

from jobqueue.web.perimeter import authority

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]
ORIGINAL = "werkzeug.proxy_fix.orig"
"""Where werkzeug keeps what the request said before."""

SCHEMES = ("http", "https")


def trusting(app: WsgiApp, proxies: int) -> WsgiApp:
    """Return the app with the client's address, scheme, host and port as that many proxies report them."""
    if not proxies:
        return app
    from werkzeug.middleware.proxy_fix import ProxyFix  # noqa: PLC0415  # few servers need it

    counts = dict.fromkeys(("x_for", "x_proto", "x_host", "x_port"), proxies)
    return cast("WsgiApp", ProxyFix(_checked(app), **counts))


def _checked(app: WsgiApp) -> WsgiApp:
    """Return the app with what the connection says where a proxy has said something that cannot be.

    Where there are fewer proxies than trusted ones, clients may have written it. An address goes into logs, limits and
    the history of jobs.
    """

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        before = environ[ORIGINAL]
        environ["REMOTE_ADDR"] = plain_address(environ["REMOTE_ADDR"]) or before["REMOTE_ADDR"]
        if environ["wsgi.url_scheme"] not in SCHEMES:
            environ["wsgi.url_scheme"] = before["wsgi.url_scheme"]
        return app(environ, start_response)

    return call


def plain_address(text: str) -> str | None:
    """Return the IP address that a proxy reports, without the port that some add; None if it is none."""
    parsed = authority.parse(text)
    host = parsed.host if parsed else text
    if "%" in host:  # the name of an interface, which may have any characters
        return None
    try:
        address = ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)

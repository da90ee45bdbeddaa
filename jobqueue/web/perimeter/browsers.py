"""Tells requests that other sites' pages make from all others.

A browser lets any page send a POST with text or a form to any server, without asking it. It says so in headers that no
page can change: `Sec-Fetch-Site`, which it leaves out where the server is reached without TLS by another name than
localhost, and `Origin`. Programs that are no browsers send neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobqueue.web.perimeter import authority

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""They change nothing, and a page cannot read the answers to its requests to other hosts."""

OWN_SITES = frozenset({"same-origin", "none"})
"""`none`: the user's own action, such as an address typed in."""

DEFAULT_PORTS = {"http": 80, "https": 443}


def is_cross_origin(environ: Mapping[str, Any]) -> bool:
    """Whether a request would change something and was made by a page of another site."""
    if environ["REQUEST_METHOD"] in SAFE_METHODS:
        return False
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return site not in OWN_SITES
    origin = environ.get("HTTP_ORIGIN")
    return origin is not None and not is_origin_of(origin, environ.get("HTTP_HOST", ""))


def is_origin_of(origin: str, host: str) -> bool:
    """Whether an `Origin` names the same host and port as a `Host`. `null` and lists of origins name none.

    A proxy may add TLS, so the scheme is the one that the browser used, and a port that is left out is that scheme's.
    """
    scheme, separator, rest = origin.lower().partition("://")
    page, server = authority.parse(rest), authority.parse(host)
    if not separator or scheme not in DEFAULT_PORTS or page is None or server is None:
        return False
    default = DEFAULT_PORTS[scheme]
    return (page.host, page.port or default) == (server.host, server.port or default)

"""URL rules: parse and join."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urljoin

from urllib3.util import parse_url

DEFAULT_PORTS = {"http": 80, "https": 443}
HOST = re.compile(r"[!-~]+")
ZONE = re.compile(r"%[^\]]*\]$")
NOT_ASCII = re.compile(rb"[\x80-\xff]")


@dataclass(frozen=True)
class Url:
    """A URL taken apart. `host` is in lower case, without a final dot, an IPv6 address in brackets.

    `target` is what a request line asks for: path and query, percent-encoded. `credentials` are `user:password`,
    percent-encoded as in the URL; they are meant for this origin only.
    """

    scheme: str
    host: str
    port: int
    target: str
    credentials: str | None

    @classmethod
    @lru_cache(maxsize=100)  # jobs come with the same few URLs again and again
    def parse(cls, text: str) -> Url:
        """Return a URL taken apart. Raises ValueError with a message that quotes nothing of the URL."""
        try:
            parts = parse_url(text)
        except ValueError:
            raise ValueError("the URL cannot be read") from None
        scheme, host = parts.scheme or "", (parts.host or "").rstrip(".")
        if not HOST.fullmatch(host):
            raise ValueError("the URL names no host")
        port = DEFAULT_PORTS.get(scheme, 0) if parts.port is None else parts.port
        return cls(scheme, host, port, parts.request_uri, parts.auth)

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what credentials are bound to."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """The value of the Host header: the host, and the port unless it is the default of the scheme.

        The zone of an IPv6 address (`%eth0`) means something on this machine only, and is left out.
        """
        host = ZONE.sub("]", self.host)
        return host if self.port == DEFAULT_PORTS.get(self.scheme) else f"{host}:{self.port}"


def join(base: str, location: str) -> str:
    """Return the URL that a redirect leads to; the location itself when it is malformed, for `parse` to refuse."""
    try:
        return urljoin(base, location)
    except ValueError:
        return location


def from_header(value: str) -> str:
    """Return the URL that a header holds, as `http.client` reads it: byte by byte.

    Servers that do not encode it send UTF-8, nearly all of them. Other bytes are encoded as they are, as browsers do.
    """
    raw = value.strip().encode("latin-1", "replace")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return NOT_ASCII.sub(lambda byte: b"%%%02X" % ord(byte[0]), raw).decode()

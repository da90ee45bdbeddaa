"""Reads `host:port`, as the header `Host`, an `Origin` and a request line write it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

MAX_CHARACTERS = 300
"""A host name has at most 253 characters."""

MAX_LABEL_CHARACTERS, MAX_NAME_CHARACTERS, MAX_PORT = 63, 253, 65_535

_authority = re.compile(
    r"(?:\[(?P<ipv6>[0-9a-f:.]+(%[\w.%~-]+)?)\]|(?P<name>[a-z0-9_.-]+))(:(?P<port>[0-9]{0,5}))?", re.A
)
_name = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Authority:
    """A host and its port.

    host: in lower case, an IPv6 address without brackets. is_address: whether it is an IP address. port: None if there
    is none.
    """

    host: str
    is_address: bool
    port: int | None

    @property
    def name(self) -> str:
        """The host without the dot that may end a complete name: `evil.example.` is another spelling of that name."""
        return self.host.removesuffix(".")


def parse(text: str) -> Authority | None:
    """Return the parts of `host:port`; None if it is anything else, such as one with a user, or with two hosts.

    An address is one in the usual spelling. `0x7f.1` and `127.1` count as names, although some programs take them for
    addresses: browsers send what they connect to in the usual spelling.
    """
    if len(text) > MAX_CHARACTERS:
        return None
    match = _authority.fullmatch(text.lower())
    if match is None:
        return None
    port = int(match["port"]) if match["port"] else None
    if port is not None and port > MAX_PORT:
        return None
    if match["ipv6"]:
        return Authority(match["ipv6"], True, port) if _is(IPv6Address, match["ipv6"]) else None
    host = match["name"]
    is_address = _is(IPv4Address, host.removesuffix("."))
    return Authority(host, is_address, port) if is_address or is_name(host) else None


def is_name(text: str) -> bool:
    """Whether a text is a host name in ASCII, with or without a dot at its end."""
    name = text.removesuffix(".")
    labels = name.split(".")
    fits = len(name) <= MAX_NAME_CHARACTERS and all(0 < len(label) <= MAX_LABEL_CHARACTERS for label in labels)
    return fits and _name.fullmatch(name) is not None


def _is(kind: type[IPv4Address | IPv6Address], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True

"""Kinds of IP addresses, and which kinds may be connected to.

The tables are our own. `ipaddress.is_global` was wrong before Python 3.12.4 (CVE-2024-4032), and knows neither the
addresses at which clouds answer nor what a translator makes of an address. They follow the IANA's registries of
special-purpose addresses (RFC 6890 and later).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(each) for each in text.split())


FORBIDDEN = _networks(
    "169.254.0.0/16 fe80::/10"  # link-local: AWS, Google, Azure, Oracle, OpenStack, DigitalOcean and others answer here
    " fd00:ec2::/32"  # AWS
    " fd20:ce::254/128"  # Google
    " fd00:42::42/128"  # Scaleway
    " 100.100.100.200/32"  # Alibaba
    " 100.96.0.96/32"  # Volcano Engine
    " 192.0.0.192/32"  # Oracle, formerly
    " 168.63.129.16/32"  # Azure; it looks public
)
"""Addresses that only the machine itself should ask: with what answers there, somebody else could act in its name."""

NOT_PUBLIC = _networks(
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24"
    " 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3"
    " 2001::/23 2001:db8::/32 3ffe::/16 3fff::/20"
)
"""What is not public although it is IPv4, or lies in GLOBAL."""

GLOBAL = IPv6Network("2000::/3")
"""All that has been given out of IPv6 so far."""

MAPPED, NAT64, SIX_TO_FOUR, TEREDO = (
    IPv6Network(each) for each in ("::ffff:0:0/96", "64:ff9b::/96", "2002::/16", "2001::/32")
)
LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
LAST_4_BYTES = (*_networks("::/96 ::ffff:0:0:0/96"), MAPPED, NAT64)
"""Prefixes behind which an IPv4 address follows: compatible, translated, mapped, and NAT64's own."""

ISATAP = (0x0000_5EFE, 0x0200_5EFE)
NUMBER = r"(0[xX][0-9A-Fa-f]*|[0-9]+)"
ANY_NOTATION = re.compile(rf"{NUMBER}(\.{NUMBER}){{0,3}}")
"""What the C library takes for an IPv4 address: one to four numbers, decimal, octal or hexadecimal."""

METADATA_NAMES = (
    "metadata",
    "metadata.goog",
    "metadata.google.internal",
    "instance-data",
    "instance-data.ec2.internal",
    "rancher-metadata",
    "metadata.tencentyun.com",
    "metadata.platformequinix.com",
    "api.metadata.cloud.ibm.com",
)
"""Names at which clouds answer. They matter where a proxy looks up names, so that the address is not known here."""


class Kind(Enum):
    """What an address is.

    FORBIDDEN: link-local, or where a cloud tells a machine its secrets. PRIVATE: neither that nor public, such as this
    machine itself and the networks of homes, companies and providers. PUBLIC: on the internet.
    """

    FORBIDDEN = "forbidden"
    PRIVATE = "private"
    PUBLIC = "public"


@lru_cache(maxsize=1000)
def kind_of(address: str) -> Kind:
    """Return the kind of an IP address, with a zone or without.

    Where an address stands for another one, such as `::ffff:127.0.0.1`, the other one counts.
    """
    parsed = ip_address(address.partition("%")[0])
    embedded = [*_embedded(parsed)] if isinstance(parsed, IPv6Address) else []
    if any(each in network for each in (parsed, *embedded) for network in FORBIDDEN):
        return Kind.FORBIDDEN
    return Kind.PUBLIC if _is_public(parsed, embedded) else Kind.PRIVATE


@lru_cache(maxsize=1000)
def literal(host: str) -> str | None:
    """Return the IP address that a host of a URL is, in any notation that the system takes for one; None for a name."""
    text = host.strip("[]").partition("%")[0].rstrip(".")
    with suppress(ValueError):
        return str(ip_address(text))
    if ANY_NOTATION.fullmatch(text):
        with suppress(OSError):
            return socket.inet_ntoa(socket.inet_aton(text))
    return None


@dataclass(frozen=True)
class AddressRules:
    """Which addresses may be connected to: all but the forbidden ones, or public ones only."""

    only_public: bool = False

    def permit(self, address: str) -> bool:
        """Whether an address may be connected to."""
        kind = kind_of(address)
        return kind is Kind.PUBLIC or (kind is Kind.PRIVATE and not self.only_public)


def _is_public(address: IPv4Address | IPv6Address, embedded: Iterable[IPv4Address]) -> bool:
    stands_for_another = any(address in network for network in (MAPPED, NAT64, SIX_TO_FOUR))
    if isinstance(address, IPv6Address) and not stands_for_another and address not in GLOBAL:
        return False
    if any(address in network for network in NOT_PUBLIC):
        return False
    return all(_is_public(each, ()) for each in embedded)


def _embedded(address: IPv6Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that packets for an IPv6 address may be passed on to."""
    number = int(address)
    if any(address in network for network in LAST_4_BYTES) or number >> 32 & 0xFFFF_FFFF in ISATAP:
        yield IPv4Address(number & 0xFFFF_FFFF)
    if address in SIX_TO_FOUR:
        yield IPv4Address(number >> 80 & 0xFFFF_FFFF)
    if address in TEREDO:  # the server's, and the client's, whose bits are inverted
        yield IPv4Address(number >> 64 & 0xFFFF_FFFF)
        yield IPv4Address(~number & 0xFFFF_FFFF)
    if address in LOCAL_NAT64:
        # Any longer prefix below it may be in use (RFC 6052). The ninth byte is none of the address that follows.
        packed, split = address.packed, address.packed[:8] + address.packed[9:]
        for begin, source in ((6, split), (7, split), (8, split), (12, packed)):
            yield IPv4Address(source[begin : begin + 4])

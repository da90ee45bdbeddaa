"""Addresses are forbidden, private or public, whatever notation hides what they are."""

from __future__ import annotations

import ipaddress

import pytest

from jobqueue.net.destinations.addresses import AddressRules, Kind, kind_of, literal

FORBIDDEN = str.split("""
    169.254.0.1 169.254.169.254 169.254.170.2 169.254.255.255 fe80::1 fe80::1%eth0 febf::1 fe80::a9fe:a9fe
    fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fd00:42::42 100.100.100.200 100.96.0.96 192.0.0.192 168.63.129.16
""")
PRIVATE = str.split("""
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.254 172.16.0.1
    172.31.255.255 192.0.0.1 192.0.0.170 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255
    198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 ::2 100::1 fc00::1
    fdff::1 fec0::1 ff02::1 2001::1 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 3ffe::1 3fff::1 4000::1 5f00::1
    64:ff9b:1::1 8000::
""")
PUBLIC = str.split("""
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 168.63.129.15
    169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.167.255.255 192.169.0.0
    198.17.255.255 198.20.0.0 223.255.255.255 2000::1 2001:200::1 2001:4860:4860::8888 2606:4700::1111 2a00::1
    2001:db7::1 3ffd::1
""")


@pytest.mark.parametrize("address", FORBIDDEN)
def test_link_local_addresses_and_those_of_clouds_are_forbidden(address: str) -> None:
    assert kind_of(address) is Kind.FORBIDDEN


@pytest.mark.parametrize("address", PRIVATE)
def test_special_purpose_addresses_are_private(address: str) -> None:
    assert kind_of(address) is Kind.PRIVATE


@pytest.mark.parametrize("address", PUBLIC)
def test_all_other_addresses_are_public(address: str) -> None:
    assert kind_of(address) is Kind.PUBLIC


def in_ipv6(pattern: str, address: str) -> str:
    """Return an IPv6 address with that IPv4 address in it: in place of AAAA:BBBB, or of NNNN:NNNN with its bits
    inverted, or of A:B:C:D byte by byte.
    """
    number = int(ipaddress.IPv4Address(address))
    inverted = number ^ 0xFFFF_FFFF
    for name, each in (("AAAA:BBBB", number), ("NNNN:MMMM", inverted)):
        pattern = pattern.replace(name, f"{each >> 16:x}:{each & 0xFFFF:x}")
    for name, byte in zip("abcd", ipaddress.IPv4Address(address).packed, strict=True):
        pattern = pattern.replace(f"<{name}>", f"{byte:02x}")
    return pattern


TRANSPARENT = ["::ffff:AAAA:BBBB", "64:ff9b::AAAA:BBBB", "2002:AAAA:BBBB::1"]
"""What is exactly as public as the IPv4 address within."""

NEVER_PUBLIC = [
    "::AAAA:BBBB",
    "::ffff:0:AAAA:BBBB",
    "2001:0:AAAA:BBBB::",
    "2001:0:808:808:0:0:NNNN:MMMM",
    "64:ff9b:1:<a><b>:<c>:<d>00::",
    "64:ff9b:1:ff<a>:<b>:<c><d>::",
    "64:ff9b:1:ffff:<a>:<b><c>:<d>00:0",
    "64:ff9b:1:ffff:ffff:ffff:AAAA:BBBB",
]
ISATAP = ["2a00::5efe:AAAA:BBBB", "2a00::200:5efe:AAAA:BBBB"]


@pytest.mark.parametrize("pattern", [*TRANSPARENT, *NEVER_PUBLIC, *ISATAP])
def test_an_address_that_stands_for_another_one_is_of_its_kind(pattern: str) -> None:
    for address in ("169.254.169.254", "100.100.100.200", "168.63.129.16"):
        assert kind_of(in_ipv6(pattern, address)) is Kind.FORBIDDEN
    for address in ("127.0.0.1", "10.1.2.3", "192.168.7.9"):
        assert kind_of(in_ipv6(pattern, address)) is Kind.PRIVATE
    expected = Kind.PRIVATE if pattern in NEVER_PUBLIC else Kind.PUBLIC
    assert kind_of(in_ipv6(pattern, "8.8.8.8")) is expected


def test_what_python_takes_for_private_is_not_public_here() -> None:
    # All networks of which some Python has known that they are not global.
    for address in (*FORBIDDEN, *PRIVATE, *PUBLIC):
        parsed = ipaddress.ip_address(address)
        if not parsed.is_global or parsed.is_multicast:
            assert kind_of(address) is not Kind.PUBLIC, address


@pytest.mark.parametrize(
    "host",
    str.split(
        "127.0.0.1 127.1 127.0.1 2130706433 0x7f000001 0x7F.0.0.1 0177.0.0.1 017700000001 127.0.0.1. 0x7f.1 0177.1"
    ),
)
def test_every_notation_of_an_address_is_read_as_the_system_reads_it(host: str) -> None:
    assert literal(host) == "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "address"),
    [("0", "0.0.0.0"), ("[::1]", "::1"), ("[fe80::1%25eth0]", "fe80::1"), ("[::ffff:1.2.3.4]", "::ffff:102:304")],
)
def test_other_addresses_are_read(host: str, address: str) -> None:
    # Python 3.13 writes the last of them in another way.
    assert ipaddress.ip_address(literal(host) or "") == ipaddress.ip_address(address)


@pytest.mark.parametrize("host", ["localhost", "1.2.3.4.5", "0x", "08", "256.0.0.1", "a.1", "4294967296", "", "\uff11"])
def test_a_name_is_no_address(host: str) -> None:
    assert literal(host) is None


@pytest.mark.parametrize(
    ("address", "by_any", "by_public"),
    [("8.8.8.8", True, True), ("10.0.0.1", True, False), ("169.254.169.254", False, False)],
)
def test_forbidden_addresses_are_never_permitted_and_private_ones_if_not_only_public(
    address: str, by_any: bool, by_public: bool
) -> None:
    assert AddressRules().permit(address) is by_any
    assert AddressRules(only_public=True).permit(address) is by_public

"""What may be downloaded, from where, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from jobqueue import logs
from jobqueue.net.destinations.addresses import METADATA_NAMES, AddressRules, Kind, kind_of, literal
from jobqueue.net.destinations.hosts import Hosts
from jobqueue.net.names import Address
from jobqueue.net.network import Network
from jobqueue.net.sockets import Guard
from jobqueue.net.time_limit import MinimumSpeed
from jobqueue.net.urls import DEFAULT_PORTS, Url
from jobqueue.worker.failures import Failure
from jobqueue.worker.policy.allowed_programs import AllowedPrograms
from jobqueue.worker.programs.errors import BlockedByPolicy, DownloadFailed

NO_ADDRESS = "the server has no address that may be requested"


@dataclass(frozen=True)
class DownloadRules:
    """The rules of one worker.

    max_bytes: size of the largest program. timeout_seconds: time limit of a download, all tries together.
    retry_seconds: how long a download that makes no progress is tried again; 0 for a single try.
    allowed_hosts: the servers that may be requested, as patterns of `Hosts`; empty for any server. addresses: which
    addresses may be connected to. connect_seconds: time limit of connecting to one address, TLS handshake included.
    minimum_speed: a slower try is given up. network: the proxies and the trusted certificates. programs: those that may
    be run; None for any.
    """

    max_bytes: int = 1024**3
    timeout_seconds: float = 300.0
    allowed_hosts: tuple[str, ...] = ()
    connect_seconds: float = 10.0
    minimum_speed: MinimumSpeed = field(default_factory=MinimumSpeed)
    retry_seconds: float = 60.0
    addresses: AddressRules = field(default_factory=AddressRules)
    network: Network = field(default_factory=Network, compare=False)
    programs: AllowedPrograms | None = field(default=None, compare=False)

    def check_program(self, sha256: str) -> None:
        """Raise BlockedByPolicy when a program may not be run."""
        if self.programs is not None and not self.programs.include(sha256):
            raise BlockedByPolicy("ALLOWED_SHA256_FILE does not list the program", failure=Failure.NOT_LISTED)

    def check_url(self, text: str) -> Url:
        """Return the parts of a URL that may be requested, as far as that can be said without a look-up.

        Raises BlockedByPolicy when it may not, DownloadFailed when it cannot be read.
        """
        try:
            url = Url.parse(text)
        except ValueError as error:
            raise DownloadFailed(str(error), text, Failure.UNREADABLE) from None
        if url.scheme not in DEFAULT_PORTS:
            raise BlockedByPolicy(f"neither http nor https but {url.scheme[:20] or 'nothing'}", text)
        if self.allowed_hosts and not self._hosts.include(url.host, url.port):
            raise BlockedByPolicy(f"{url.host}:{url.port} is not an allowed host", text)
        address = literal(url.host)
        if address is not None and not self.addresses.permit(address):
            raise BlockedByPolicy(NO_ADDRESS, text)
        if address is None and self.network.is_proxied(url):
            self._check_proxied(url, text)
        return url

    def check_size(self, byte_count: int) -> None:
        """Raise DownloadFailed when a program is larger than allowed."""
        if byte_count > self.max_bytes:
            raise DownloadFailed(f"larger than {self.max_bytes} bytes", failure=Failure.TOO_LARGE)

    def _check_proxied(self, url: Url, text: str) -> None:
        """Raise BlockedByPolicy for a name that only a proxy looks up, unless it is known to lead to a good address."""
        if url.host in METADATA_NAMES:
            raise BlockedByPolicy(NO_ADDRESS, text)
        if self.addresses.only_public and not self.allowed_hosts:
            raise BlockedByPolicy(
                "only a proxy knows the address of the server, so BINARY_NETWORKS=public needs BINARY_HOSTS", text
            )

    @cached_property
    def _hosts(self) -> Hosts:
        return Hosts.of(self.allowed_hosts)


class Trail(Guard):
    """The servers that one download comes to. For one thread.

    is_private: whether the address of any of them was not public, or may not have been. From then on nothing may be
    told about the answers to whoever submitted the job: the job's URL, or a redirect, may be meant to find out what
    there is in networks that only the worker can reach.
    """

    def __init__(self, rules: AddressRules) -> None:
        self._rules = rules
        self.is_private = False

    def come_to(self, url: Url) -> None:
        """Note that a URL is requested next. A proxy may connect to its address, so that `choose` is not asked."""
        address = literal(url.host)
        if address is not None:
            self._note([address])

    def choose(self, host: str, addresses: Sequence[Address]) -> Sequence[Address]:
        """Return those addresses of a host that may be connected to. Raises BlockedByPolicy when there is none."""
        chosen = [address for address in addresses if self._rules.permit(address[4][0])]
        if len(chosen) < len(addresses):
            refused = {str(address[4][0]) for address in addresses if address not in chosen}
            logs.logger().warning("address_refused", host=host, addresses=",".join(sorted(refused)))
        if addresses and not chosen:
            raise BlockedByPolicy(NO_ADDRESS)
        self._note([address[4][0] for address in chosen])
        return chosen

    def confirm(self, address: str) -> None:
        """Raise BlockedByPolicy when a connection has an address that may not be connected to, however that came."""
        if not self._rules.permit(address):
            raise BlockedByPolicy(NO_ADDRESS)
        self._note([address])

    def _note(self, addresses: Sequence[str]) -> None:
        self.is_private = self.is_private or any(kind_of(address) is not Kind.PUBLIC for address in addresses)

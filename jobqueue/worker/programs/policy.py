"""What may be downloaded, from where, and for how long."""

from __future__ import annotations

from dataclasses import dataclass, field

from jobqueue.net.network import Network
from jobqueue.net.time_limit import MinimumSpeed
from jobqueue.net.urls import DEFAULT_PORTS, Url
from jobqueue.worker.failures import Failure
from jobqueue.worker.programs.errors import BlockedByPolicy, DownloadFailed


@dataclass(frozen=True)
class DownloadRules:
    """The rules of one worker.

    max_bytes: size of the largest program. timeout_seconds: time limit of a download, all tries together.
    retry_seconds: how long a download that makes no progress is tried again; 0 for a single try.
    allowed_hosts: the servers that may be requested, as patterns `host` (any port), `host:port` or `*.suffix` (every
    name below it); empty for any server. connect_seconds: time limit of connecting to one address, TLS handshake
    included. minimum_speed: a slower try is given up. network: the proxies and the trusted certificates.
    """

    max_bytes: int = 1024**3
    timeout_seconds: float = 300.0
    allowed_hosts: tuple[str, ...] = ()
    connect_seconds: float = 10.0
    minimum_speed: MinimumSpeed = field(default_factory=MinimumSpeed)
    retry_seconds: float = 60.0
    network: Network = field(default_factory=Network, compare=False)

    def check_url(self, text: str) -> Url:
        """Return the parts of a URL that may be requested.

        Raises BlockedByPolicy when it may not, DownloadFailed when it cannot be read.
        """
        try:
            url = Url.parse(text)
        except ValueError as error:
            raise DownloadFailed(str(error), text, Failure.UNREADABLE) from None
        if url.scheme not in DEFAULT_PORTS:
            raise BlockedByPolicy(f"neither http nor https but {url.scheme[:20] or 'nothing'}", text)
        if self.allowed_hosts and not any(url.matches(pattern) for pattern in self.allowed_hosts):
            raise BlockedByPolicy(f"{url.host}:{url.port} is not an allowed host", text)
        return url

    def check_size(self, byte_count: int) -> None:
        """Raise DownloadFailed when a program is larger than allowed."""
        if byte_count > self.max_bytes:
            raise DownloadFailed(f"larger than {self.max_bytes} bytes", failure=Failure.TOO_LARGE)

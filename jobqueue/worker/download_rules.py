"""What may be downloaded, from where and for how long, and how a download can fail."""

from __future__ import annotations

from dataclasses import dataclass

from jobqueue.client.transport import without_secrets

DEFAULT_PORTS = {"http": 80, "https": 443}
LONGEST_SHOWN_URL = 500


class DownloadFailed(Exception):
    """The program cannot be had. Its text says why, for the job's `error_message`, and tells no secrets of a URL.

    `url` is the one that was asked last.
    """

    kind = "download failed"

    def __init__(self, reason: str, url: str = "") -> None:
        super().__init__(reason, url)
        self.reason = reason
        self.url = url

    def __str__(self) -> str:
        where = f" ({without_secrets(self.url)[:LONGEST_SHOWN_URL]})" if self.url else ""
        return f"{self.kind}: {self.reason}{where}"


class MayPass(DownloadFailed):
    """A failure that may be gone the next time; the host may have said in how many seconds."""

    def __init__(self, reason: str, wait_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


class ChecksumMismatch(DownloadFailed):
    """What came is not what was asked for."""

    kind = "checksum mismatch"


class BlockedByPolicy(DownloadFailed):
    """The rules of this worker forbid to ask there, at the first URL or where it redirects to."""

    kind = "blocked by policy"


class DownloadStopped(Exception):
    """The download was told to stop."""


@dataclass(frozen=True)
class DownloadRules:
    """What a worker downloads at most.

    timeout_seconds: for all tries of one program together. allowed_hosts: `host` (any port), `host:port`, or
    `*.suffix` for whatever lies below it; none means any host.
    """

    max_bytes: int = 1024**3
    timeout_seconds: float = 300.0
    allowed_hosts: tuple[str, ...] = ()

    def check(self, scheme: str, host: str, port: int) -> None:
        """Raise BlockedByPolicy unless this may be asked. `host` is in lower case, an IPv6 address in brackets."""
        if scheme not in DEFAULT_PORTS:
            raise BlockedByPolicy(f"neither http nor https but {scheme[:20] or 'nothing'}")
        if self.allowed_hosts and not any(_matches(pattern.lower(), host, port) for pattern in self.allowed_hosts):
            raise BlockedByPolicy(f"{host}:{port} is not an allowed host")


def _matches(pattern: str, host: str, port: int) -> bool:
    if pattern.startswith("*."):
        return any(name.endswith(pattern[1:]) for name in (host, f"{host}:{port}"))
    return pattern in (host, f"{host}:{port}")

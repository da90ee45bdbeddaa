"""What may be downloaded, from where and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from jobqueue.worker.programs.errors import BlockedByPolicy

DEFAULT_PORTS = {"http": 80, "https": 443}


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

"""How a download can fail."""

from __future__ import annotations

from jobqueue.net.urls import without_secrets

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

"""How a download can fail, and what each error of the network means for it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from http.client import HTTPException
from typing import Any

from urllib3.exceptions import HTTPError

from jobqueue.job import Reason
from jobqueue.net.time_limit import DeadlinePassed, Stopped, TooSlow
from jobqueue.net.urls import without_secrets
from jobqueue.worker.host.error_numbers import OUT_OF_RESOURCES

LONGEST_SHOWN_URL = 500
HOST_LOOK_UP_ERRORS = frozenset({socket.EAI_SYSTEM, socket.EAI_MEMORY})
"""The errors of a DNS look-up that are this machine's fault, as `OUT_OF_RESOURCES` are among those of the system."""


class DownloadFailed(Exception):
    """The program could not be downloaded. `reason` is the job's; the text, without secrets of URLs, is for its
    `error_message`. `url` is the last one that was requested.
    """

    reason = Reason.DOWNLOAD_FAILED

    def __init__(self, message: str, url: str = "") -> None:
        super().__init__(message, url)
        self.message = message
        self.url = url

    def __str__(self) -> str:
        where = f" ({without_secrets(self.url)[:LONGEST_SHOWN_URL]})" if self.url else ""
        return f"{self.reason.replace('_', ' ')}: {self.message}{where}"


class RetryableFailure(DownloadFailed):
    """The download failed, but may succeed the next time. `wait_seconds` is the pause that the server asked for."""

    def __init__(self, message: str = "the connection ended early", wait_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


class ChecksumMismatch(DownloadFailed):
    """The program was downloaded, but is not the one whose SHA-256 the job names."""

    reason = Reason.CHECKSUM_MISMATCH


class BlockedByPolicy(DownloadFailed):
    """The rules of this worker forbid the job's URL, or one that it redirects to."""

    reason = Reason.BLOCKED_BY_POLICY


class DownloadStopped(Exception):
    """The download was stopped by its stop event."""


def _system_failure(error: OSError) -> Exception:
    looked_up = isinstance(error, socket.gaierror)  # its numbers are not those of the system
    if error.errno in (HOST_LOOK_UP_ERRORS if looked_up else OUT_OF_RESOURCES):
        return OSError(error.errno, error.strerror)
    if looked_up and error.errno != socket.EAI_AGAIN:
        return DownloadFailed(f"the server's name is not known: {error.strerror}")
    return RetryableFailure(error.strerror or type(error).__name__)


# What an error means: the first line that fits decides, so a class stands above its base class.
MEANINGS: tuple[tuple[type[Exception], Callable[[Any], Exception]], ...] = (
    (Stopped, lambda _: DownloadStopped()),
    (DeadlinePassed, lambda error: DownloadFailed(str(error))),
    (TooSlow, lambda error: RetryableFailure(str(error))),
    (ssl.SSLCertVerificationError, lambda e: DownloadFailed(f"the certificate cannot be trusted: {e.verify_message}")),
    (ssl.SSLEOFError, lambda _: RetryableFailure()),
    (ssl.SSLError, lambda error: DownloadFailed(f"no TLS: {error.reason}")),
    (OSError, _system_failure),
    (Exception, lambda error: DownloadFailed(f"the answer is not HTTP: {type(error).__name__}")),
)
NETWORK_ERRORS = (Stopped, DeadlinePassed, TooSlow, OSError, HTTPException, HTTPError)


def meaning(error: Exception) -> Exception:
    """Return what to raise for one of NETWORK_ERRORS: DownloadFailed or a subclass, DownloadStopped, or OSError when
    this machine is at fault.
    """
    if isinstance(error, HTTPError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # urllib3 wraps whatever goes wrong while it reads a body
    return next(make(error) for kind, make in MEANINGS if isinstance(error, kind))

"""How a download can fail, and what each error of the network means for it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from http.client import HTTPException
from typing import Any

from urllib3.exceptions import HTTPError

from jobqueue.net.connections import EARLY_END
from jobqueue.net.heads import HeadTooLarge
from jobqueue.net.time_limit import DeadlinePassed, Stopped, TooSlow
from jobqueue.redaction import printable, without_secrets
from jobqueue.worker.failures import Failure
from jobqueue.worker.host.error_numbers import OUT_OF_RESOURCES

LONGEST_SHOWN_URL = 500
CONCEALED = (
    "download failed or checksum mismatch: the address of the server is not public, so only the worker's log says more"
)
"""The text for whatever comes of a request to such a server: no connection, any status, any answer, silence.

A job's submitter could otherwise scan networks that only the worker can reach, and learn the hash of what is there.
"""

HOST_LOOK_UP_ERRORS = frozenset({socket.EAI_SYSTEM, socket.EAI_MEMORY})
"""The errors of a DNS look-up that are this machine's fault, as `OUT_OF_RESOURCES` are among those of the system."""


class DownloadFailed(Exception):
    """The program could not be downloaded. The text, without secrets of URLs, is for the job's `error_message`.

    `failure` says what follows: by default, that another host may succeed and that another try here would not. `url` is
    the last one that was requested. `concealed_for` is the job's own URL when the text must not say what happened.
    """

    failure = Failure.REFUSED
    concealed_for: str | None = None

    def __init__(self, message: str, url: str = "", failure: Failure | None = None) -> None:
        super().__init__(message, url)
        self.message = message
        self.url = url
        self.failure = failure or self.failure

    def __str__(self) -> str:
        if self.concealed_for is None:
            return self.detail
        return f"{CONCEALED} ({printable(without_secrets(self.concealed_for)[:LONGEST_SHOWN_URL])})"

    @property
    def detail(self) -> str:
        """What happened, without secrets of URLs, for the worker's log."""
        where = f" ({without_secrets(self.url)[:LONGEST_SHOWN_URL]})" if self.url else ""
        # A server chooses where it redirects to.
        return printable(f"{self.failure.reason.replace('_', ' ')}: {self.message}{where}")

    def conceal(self, url: str | None) -> None:
        """Have the text say the same whatever happened, and name no URL but this one, the job's own."""
        self.concealed_for = url


class RetryableFailure(DownloadFailed):
    """The download failed, but may succeed the next time. `wait_seconds` is the pause that the server asked for."""

    failure = Failure.INTERRUPTED

    def __init__(self, message: str = EARLY_END, wait_seconds: float = 0.0, failure: Failure | None = None) -> None:
        super().__init__(message, failure=failure)
        self.wait_seconds = wait_seconds


class ChecksumMismatch(DownloadFailed):
    """The program was downloaded, but is not the one whose SHA-256 the job names."""

    failure = Failure.CHECKSUM


class BlockedByPolicy(DownloadFailed):
    """The rules of this worker forbid the job's URL, or one that it redirects to."""

    failure = Failure.BLOCKED


class DownloadStopped(Exception):
    """The download was stopped by its stop event."""


def _system_failure(error: OSError) -> Exception:
    looked_up = isinstance(error, socket.gaierror)  # its numbers are not those of the system
    if error.errno in (HOST_LOOK_UP_ERRORS if looked_up else OUT_OF_RESOURCES):
        return OSError(error.errno, error.strerror)
    if looked_up and error.errno == socket.EAI_SERVICE:
        return DownloadFailed(f"{error.strerror}", failure=Failure.UNREADABLE)
    if looked_up:
        # Also when the name server says that there is no such name: the next one may know it, and a name that was
        # registered a moment ago is unknown to most of them.
        return RetryableFailure(f"the server's name is not known: {error.strerror}", failure=Failure.NAME)
    return RetryableFailure(error.strerror or type(error).__name__, failure=Failure.CONNECTION)


def _distrust(error: ssl.SSLCertVerificationError) -> Exception:
    message = f"the certificate cannot be trusted: {error.verify_message}"
    return DownloadFailed(message, failure=Failure.CERTIFICATE)


# What an error means: the first line that fits decides, so a class stands above its base class.
MEANINGS: tuple[tuple[type[Exception], Callable[[Any], Exception]], ...] = (
    (Stopped, lambda _: DownloadStopped()),
    (DeadlinePassed, lambda error: DownloadFailed(str(error), failure=Failure.TOO_LONG)),
    (TooSlow, lambda error: RetryableFailure(str(error))),
    (ssl.SSLCertVerificationError, _distrust),
    (ssl.SSLEOFError, lambda _: RetryableFailure()),
    (ssl.SSLError, lambda error: RetryableFailure(f"no TLS: {error.reason}", failure=Failure.TLS)),
    (OSError, _system_failure),
    (HeadTooLarge, lambda error: DownloadFailed(str(error), failure=Failure.NOT_HTTP)),
    (
        Exception,
        lambda error: DownloadFailed(f"the answer is not HTTP: {type(error).__name__}", failure=Failure.NOT_HTTP),
    ),
)
NETWORK_ERRORS = (Stopped, DeadlinePassed, TooSlow, OSError, HTTPException, HTTPError)


def meaning(error: Exception) -> Exception:
    """Return what to raise for one of NETWORK_ERRORS: DownloadFailed or a subclass, DownloadStopped, or OSError when
    this machine is at fault.
    """
    if isinstance(error, HTTPError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # urllib3 wraps whatever goes wrong while it reads a body
    return next(make(error) for kind, make in MEANINGS if isinstance(error, kind))

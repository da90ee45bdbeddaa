"""What every failure of the network and of the servers on the way means for a request to the API."""

from __future__ import annotations

import socket
import ssl
from http.client import HTTPException, IncompleteRead, RemoteDisconnected

from urllib3.exceptions import HTTPError

from jobqueue.net.connections import EARLY_END
from jobqueue.net.time_limit import TimeLimitExceeded

LONGEST_PAUSE_SECONDS = 60.0
"""As long as a server may have us wait at most. What it asks for may be a mistake, or another server's."""


class ApiUnavailable(Exception):
    """The API did not answer, or answered that it cannot serve the request now. It may or may not have acted on it.

    `pause_seconds` is how long it has asked to be left alone (429), at most LONGEST_PAUSE_SECONDS.
    """

    def __init__(self, message: str, pause_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.pause_seconds = min(pause_seconds, LONGEST_PAUSE_SECONDS)


class TokenRefused(ApiUnavailable):
    """The API does not know the token, asks for one, or does not allow it this. It did not act on the request.

    It counts as an API that is away, and not as a refusal of the request: a token may be replaced, and the right to
    report a result may come back. `scope` is what the token lacks, "" if that is not what is wrong.
    """

    def __init__(self, message: str, scope: str = "") -> None:
        super().__init__(message)
        self.scope = scope


EXPECTED = (OSError, HTTPException, HTTPError, TimeLimitExceeded, ValueError, RecursionError, MemoryError)
"""What networks, servers on the way and a machine short of memory can cause. Anything else is an error in the code."""


def reason(error: BaseException) -> str:
    """Return in a few words what went wrong: the system's message when a system error lies behind an error."""
    cause: BaseException | None = error
    while cause is not None:
        if words := _words(cause):
            return words
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, HTTPException | HTTPError):
        return f"the answer is not HTTP ({type(error).__name__})"
    return type(error).__name__


def _words(error: BaseException) -> str:
    if isinstance(error, TimeLimitExceeded):
        return str(error)
    if isinstance(error, RemoteDisconnected | IncompleteRead):
        return EARLY_END
    if isinstance(error, ssl.SSLCertVerificationError):
        problem = _attribute(error, "verify_message")
        return f"the certificate cannot be trusted ({problem}; CA_FILE can name further authorities)"
    if isinstance(error, ssl.SSLError):
        return f"no TLS ({_attribute(error, 'reason')})"
    if isinstance(error, socket.gaierror):
        return f"the server's name is not known ({_attribute(error, 'strerror')})"
    return (error.strerror or "") if isinstance(error, OSError) else ""


def _attribute(error: BaseException, name: str) -> str:
    """Return an attribute; the kind of error when it is not set, as happens to errors that Python raises by itself."""
    return getattr(error, name, None) or type(error).__name__

"""Why an attempt could not be made on this host: what is reported, and what only the worker's log gets."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import urlsplit

from jobqueue.job import Reason
from jobqueue.redaction import without_secrets
from jobqueue.worker.slots.slot import SupervisorDied


class HostFault(Exception):
    """The attempt could not be made here, which is not certainly the job's fault.

    `reason` and the text are reported; the text must not name directories of the worker. `subject` is what the fault is
    about: a server of programs, or one program; "" for this machine. Any other exception that ends an attempt is
    treated as a fault of this machine.
    """

    def __init__(self, reason: Reason, message: str, subject: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.subject = subject


def fault_of(error: Exception) -> HostFault:
    """Return what to report about an error that ended an attempt."""
    return error if isinstance(error, HostFault) else HostFault(Reason.HOST_FAULT, _described(error))


def server_of(url: str) -> str:
    """Return the server in a job's URL, as the subject of a fault; never "", which stands for this machine.

    A redirect changes nothing: a server that redirects each job to another place would otherwise look like a host that
    reaches nobody.
    """
    shown = without_secrets(url)
    with suppress(ValueError):
        return urlsplit(shown).netloc or shown
    return shown


def detail_of(error: Exception) -> str:
    """Return what the log gets about it."""
    return str(error) if isinstance(error, HostFault | SupervisorDied) else f"{type(error).__name__}: {error}"


def _described(error: Exception) -> str:
    """Return what may be said to the submitter of a job about an error of this machine: no path, no detail."""
    if isinstance(error, SupervisorDied):
        return str(error)
    detail = error.strerror if isinstance(error, OSError) else None
    return f"this host could not run it: {detail or type(error).__name__}"

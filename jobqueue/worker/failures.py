"""Why an attempt can end without a run of its program, and what follows from each cause. `docs/worker.md` has the same
table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from jobqueue.job import Reason

ANOTHER_TRY = "until `DOWNLOAD_RETRY_SECONDS` are over"
"""When a download is tried again that time may heal."""


@dataclass(frozen=True)
class Rule:
    """What follows from one cause.

    cause: the cause in words. retried: when it is tried again within the same attempt, in words. reason: what is
    reported. final: the job has failed, because no other host could run it and time does not heal it. Otherwise the
    job is released.
    """

    cause: str
    retried: str
    reason: Reason
    final: bool = False


class Failure(Enum):
    """The causes. Only one that is certainly the job's own is final.

    A cause that time may heal within a minute is tried again before the job is released. One that needs somebody to
    change something (a certificate, a permission, a setting) is not: the slot is of more use to another job, and the
    job may be of more use to another host.
    """

    CHECKSUM = Rule("the program has another SHA-256", "once, past all caches", Reason.CHECKSUM_MISMATCH, final=True)
    NOT_FOUND = Rule("the server answers 404 or 410", "no", Reason.DOWNLOAD_FAILED, final=True)
    UNREADABLE = Rule("the job's URL or SHA-256 cannot be read", "no", Reason.DOWNLOAD_FAILED, final=True)
    NAME = Rule("the server's name cannot be resolved", ANOTHER_TRY, Reason.DOWNLOAD_FAILED)
    CONNECTION = Rule("no connection to the server or a proxy", ANOTHER_TRY, Reason.DOWNLOAD_FAILED)
    INTERRUPTED = Rule("the answer breaks off or is too slow", f"{ANOTHER_TRY}, resumed", Reason.DOWNLOAD_FAILED)
    BUSY = Rule("the server answers 408, 425, 429 or 5xx", ANOTHER_TRY, Reason.DOWNLOAD_FAILED)
    TLS = Rule("TLS fails, but not because of the certificate", ANOTHER_TRY, Reason.DOWNLOAD_FAILED)
    CERTIFICATE = Rule("the server's certificate cannot be trusted", "no", Reason.DOWNLOAD_FAILED)
    REFUSED = Rule("the server answers 401, 403 or any other status", "no", Reason.DOWNLOAD_FAILED)
    REDIRECT = Rule("too many redirects, or one to a URL that cannot be read", "no", Reason.DOWNLOAD_FAILED)
    NOT_HTTP = Rule("the answer is not HTTP", "no", Reason.DOWNLOAD_FAILED)
    TOO_LARGE = Rule("the program is larger than `MAX_BINARY_BYTES`", "no", Reason.DOWNLOAD_FAILED)
    TOO_LONG = Rule("the download exceeds `DOWNLOAD_TIMEOUT_SECONDS`", "no", Reason.DOWNLOAD_FAILED)
    BLOCKED = Rule("`BINARY_HOSTS`, `BINARY_NETWORKS` or the scheme forbids the URL", "no", Reason.BLOCKED_BY_POLICY)
    NOT_LISTED = Rule("`ALLOWED_SHA256_FILE` does not list the program", "no", Reason.BLOCKED_BY_POLICY, final=True)
    UNTRUSTED = Rule("none of `TRUSTED_KEYS` has signed the job as it is", "no", Reason.BLOCKED_BY_POLICY, final=True)
    NOT_A_PROGRAM = Rule("the file is neither an ELF file nor a script", "no", Reason.EXEC_FAILED, final=True)
    DAMAGED = Rule("the ELF file is damaged", "no", Reason.EXEC_FAILED, final=True)
    ARGUMENTS = Rule("no program can receive these arguments or variables", "no", Reason.EXEC_FAILED, final=True)
    MISSING = Rule("its interpreter, loader or a shared library is missing", "no", Reason.EXEC_FAILED)
    OTHER_MACHINE = Rule("the ELF file is for another kind of machine", "no", Reason.EXEC_FAILED)
    NOT_PERMITTED = Rule("this host does not permit its start", "no", Reason.EXEC_FAILED)
    HOST = Rule("disk full, out of processes or memory, any other error", "no", Reason.HOST_FAULT)

    @property
    def retried(self) -> bool:
        """Whether a download that failed for this cause is tried again within its attempt."""
        return self.value.retried.startswith(ANOTHER_TRY)

    @property
    def reason(self) -> Reason:
        """What is reported."""
        return self.value.reason

    @property
    def final(self) -> bool:
        """Whether the job has failed for good."""
        return self.value.final

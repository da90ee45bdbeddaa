"""The worker's settings."""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobqueue import settings
from jobqueue.client import token
from jobqueue.net.destinations.addresses import AddressRules
from jobqueue.net.destinations.hosts import binary_hosts, patterns
from jobqueue.redaction import INVISIBLE
from jobqueue.settings import (
    InvalidSetting,
    Setting,
    allow,
    choice,
    declare,
    directory,
    job_timeout,
    log_format,
    seconds,
    url,
    whole_number,
    words,
)
from jobqueue.signing import keys
from jobqueue.signing.keys import BadKey, PublicKey
from jobqueue.worker.host.processors import usable_processors
from jobqueue.worker.isolation.levels import FIRST_UID, LEVELS, NETWORKS
from jobqueue.worker.policy.allowed_programs import AllowedPrograms
from jobqueue.worker.programs.policy import DownloadRules

MAX_ID_CHARACTERS = 128
ID = f"1 to {MAX_ID_CHARACTERS} printable characters without white space"
MAX_SLOTS = 1000
MAX_BYTES = 2**50
MAX_UID = 2**31 - 1 - MAX_SLOTS
NAME = r"[A-Za-z_][A-Za-z0-9_]*"
NAMES = "names of environment variables"
MAX_PREFETCH = 1000
SECRETS = frozenset({"API_TOKEN"})
"""The variables that no program gets, whatever ENV_PASSTHROUGH says."""

OF_THE_SERVER = frozenset({"API_TOKENS", "API_TOKENS_FILE"})
"""The server's settings whose names are nearly the worker's. Platforms often give both the same variables."""


def _prefetch(text: str) -> int | None:
    if text == "auto":
        return None
    number = int(text) if re.fullmatch("[0-9]{1,4}", text) else -1
    return allow(number, 0 <= number <= MAX_PREFETCH)


def _trusted_keys(text: str) -> tuple[PublicKey, ...]:
    try:
        return tuple(keys.read_public(Path(text)) if text.startswith("/") else keys.parse(text))
    except (OSError, BadKey) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidSetting(f"TRUSTED_KEYS cannot be used: {reason}.") from None


def _executor_id(text: str) -> str:
    # The API takes no other. A worker with such a name would start, and each of its claims would be refused.
    hidden = INVISIBLE.search(text) or re.search(r"[\s\ufffc\ufffd]", text)
    return allow(text, text.isprintable() and not hidden and len(text) <= MAX_ID_CHARACTERS)


def _new_executor_id() -> str:
    host = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:80] or "host"
    return f"{host}-{os.getpid()}-{secrets.token_hex(3)}"


@dataclass(frozen=True)
class WorkerSettings:
    """What the worker reads."""

    api_url: str = url("API_URL", "http://127.0.0.1:8080/api/v1", ("http", "https"), "where the API is")
    ca_file: Path | None = directory("CA_FILE", None, "certificates that are trusted in addition", "none")  # noqa: RUF009  # a field
    api_token: str = token.setting()
    api_token_file: Path | None = token.file_setting()  # noqa: RUF009  # a field
    executor_id: str = declare(
        Setting("EXECUTOR_ID", _new_executor_id, _executor_id, ID, "the worker's name", "host, process id, random part")
    )
    log_format: str = log_format()
    slots: int = whole_number("SLOTS", usable_processors, (1, MAX_SLOTS), "jobs that run at once", "usable processors")
    prefetch: int | None = declare(
        Setting(
            "PREFETCH",
            None,
            _prefetch,
            f"auto or a whole number from 0 to {MAX_PREFETCH}",
            "jobs that are claimed before a slot is free",
            "auto",
        )
    )
    job_timeout_seconds: float | None = job_timeout()
    kill_grace_seconds: float = seconds("KILL_GRACE_SECONDS", 10.0, 0, "time between SIGTERM and SIGKILL")
    drain_seconds: float = seconds("DRAIN_SECONDS", 18.0, 0, "how long running jobs may go on after SIGTERM")
    on_lease_loss: str = choice("ON_LEASE_LOSS", ("stop", "finish"), "what to do while the API is away")
    cache_directory: Path | None = directory("CACHE_DIR", None, "where programs are kept", "$XDG_CACHE_HOME/jobqueue")  # noqa: RUF009  # a field
    cache_max_bytes: int = whole_number("CACHE_MAX_BYTES", 5 * 1024**3, (0, MAX_BYTES), "size of the cache")
    spool_directory: Path | None = directory("SPOOL_DIR", None, "where reports wait", "$XDG_STATE_HOME/jobqueue")  # noqa: RUF009  # a field
    max_binary_bytes: int = whole_number("MAX_BINARY_BYTES", DownloadRules.max_bytes, (1, MAX_BYTES), "largest program")
    download_timeout_seconds: float = seconds(
        "DOWNLOAD_TIMEOUT_SECONDS", DownloadRules.timeout_seconds, 0.1, "time limit of a download"
    )
    download_retry_seconds: float = seconds(
        "DOWNLOAD_RETRY_SECONDS",
        DownloadRules.retry_seconds,
        0,
        "how long one attempt goes on retrying a download that cannot begin",
    )
    trusted_keys: tuple[PublicKey, ...] = declare(
        Setting(
            "TRUSTED_KEYS",
            (),
            _trusted_keys,
            "public keys, or the absolute path of a file with them",
            "whose signed jobs are run, and no other",
            "none: any job is run",
        )
    )
    binary_hosts: tuple[str, ...] = binary_hosts()
    allowed_binary_hosts: tuple[str, ...] = patterns("ALLOWED_BINARY_HOSTS", "an older name of BINARY_HOSTS", "none")
    binary_networks: str = choice("BINARY_NETWORKS", ("any", "public"), "which addresses programs may come from")
    allowed_sha256_file: Path | None = directory("ALLOWED_SHA256_FILE", None, "lists the programs that may run", "any")  # noqa: RUF009  # a field
    isolation: str = choice("ISOLATION", LEVELS, "the sandbox of programs")
    isolation_uid: int = whole_number("ISOLATION_UID", FIRST_UID, (1, MAX_UID), "first user id of the level user")
    network: str = choice("NETWORK", NETWORKS, "the network of programs: the host's, or none")
    max_open_files: int = whole_number("MAX_OPEN_FILES", 4096, (16, 2**20), "open files per process")
    env_passthrough: tuple[str, ...] = words("ENV_PASSTHROUGH", NAME, NAMES, "variables that every program gets")
    temporary_directory: Path = directory("TMPDIR", Path("/tmp"), "where jobs run")  # noqa: RUF009, S108  # a field; what lies in it is private

    @property
    def download(self) -> DownloadRules:
        """The settings that downloads are made by."""
        return DownloadRules(
            max_bytes=self.max_binary_bytes,
            timeout_seconds=self.download_timeout_seconds,
            retry_seconds=self.download_retry_seconds,
            allowed_hosts=self.binary_hosts or self.allowed_binary_hosts,
            addresses=AddressRules(only_public=self.binary_networks == "public"),
        )

    def load_allowed_programs(self) -> AllowedPrograms | None:
        """Return the programs that may run; None for any. Raises InvalidSetting."""
        return None if self.allowed_sha256_file is None else AllowedPrograms(self.allowed_sha256_file)


def load(variables: Mapping[str, str]) -> WorkerSettings:
    """Read the settings. Raises InvalidSetting with a sentence for the operator."""
    loaded = settings.load(WorkerSettings, variables)
    if not variables.get("TRUSTED_KEYS", "-").strip():
        # As a default this would mean that any job is run, which nobody wants who writes down this name.
        raise InvalidSetting("TRUSTED_KEYS is empty, but must hold public keys: leave it out to run jobs of anybody.")
    if SECRETS.intersection(loaded.env_passthrough):
        raise InvalidSetting("ENV_PASSTHROUGH names API_TOKEN, but no program may have the worker's token.")
    if loaded.allowed_binary_hosts not in ((), loaded.binary_hosts) and loaded.binary_hosts:
        raise InvalidSetting(
            "BINARY_HOSTS and ALLOWED_BINARY_HOSTS, its older name, are both set, and differ; leave the older one out."
        )
    return loaded


def misspelt(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables whose names are close to a setting of the worker, each with the name of that setting."""
    others = [name for name in variables if name not in OF_THE_SERVER]
    return settings.misspelt(others, [setting.name for setting in settings.declared(WorkerSettings).values()])

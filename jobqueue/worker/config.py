"""What a worker can be told by its environment."""

from __future__ import annotations

import math
import os
import re
import secrets
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from jobqueue.settings import Environment
from jobqueue.worker.isolation.levels import FIRST_UID, LEVELS
from jobqueue.worker.programs.download import DownloadRules

DEFAULT_API_URL = "http://127.0.0.1:8080/api/v1"
TEMPORARY_DIRECTORY = Path("/tmp")  # noqa: S108  # what lies in it has a random name, mode 0700 and a lock
LONGEST_ID = 128
MOST_SLOTS = 1000
MOST_BYTES = 2**50
HOST = r"(\*\.)?[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?"
NAME = r"[A-Za-z_][A-Za-z0-9_]*"


@dataclass(frozen=True)
class WorkerSettings:
    """The worker's settings, read from:

    API_URL (http://127.0.0.1:8080/api/v1): where the API is.
    EXECUTOR_ID: the worker's name; left out, it is made of host name, process id and a random part.
    SLOTS (the processors it may use): jobs that run at once.
    JOB_TIMEOUT_SECONDS (none): how long a program may run whose job names no limit.
    KILL_GRACE_SECONDS (10): between SIGTERM and SIGKILL when a program has to end.
    DRAIN_SECONDS (18): how long running jobs may go on after SIGTERM.
    ON_LEASE_LOSS (stop): `stop` a program before another executor may run its job, or `finish` it although the API is
    away.
    CACHE_DIR ($XDG_CACHE_HOME/jobqueue or ~/.cache/jobqueue), CACHE_MAX_BYTES (5 GiB): where downloaded programs are
    kept, and how much of them.
    SPOOL_DIR ($XDG_STATE_HOME/jobqueue or ~/.local/state/jobqueue): where reports wait until the API has answered.
    MAX_BINARY_BYTES (1 GiB), DOWNLOAD_TIMEOUT_SECONDS (300): how large a program may be, and how long its download may
    take, all tries together.
    ALLOWED_BINARY_HOSTS (any): the hosts that programs may come from: `host`, `host:port`, `*.domain`, with commas.
    ISOLATION (none): how programs are confined: none, landlock, user or bwrap.
    ISOLATION_UID (59000): the first user id that the level `user` gives to a slot.
    MAX_OPEN_FILES (4096): how many files each process of a program may have open.
    ENV_PASSTHROUGH (none): names of variables of the worker's that every program gets, with commas.
    TMPDIR (/tmp): where programs run.

    `misspelt` are variables that are none of these though their name is nearly one, with that name.
    """

    api_url: str
    executor_id: str
    slots: int
    job_timeout_seconds: float | None
    kill_grace_seconds: float
    drain_seconds: float
    finish_without_lease: bool
    cache_directory: Path | None
    cache_max_bytes: int
    spool_directory: Path | None
    download: DownloadRules
    isolation: str
    isolation_uid: int
    max_open_files: int
    env_passthrough: tuple[str, ...]
    temporary_directory: Path
    misspelt: Mapping[str, str]


def load(variables: Mapping[str, str]) -> WorkerSettings:
    """Read the settings. Raises InvalidSetting with a sentence for whoever starts the worker."""
    environment = Environment(variables)
    return WorkerSettings(
        api_url=environment.url("API_URL", DEFAULT_API_URL, ("http", "https")),
        executor_id=environment.read(
            "EXECUTOR_ID", _own_name(), _executor_id, "1 to 128 printable characters without white space"
        ),
        slots=environment.whole_number("SLOTS", usable_processors(), 1, MOST_SLOTS),
        job_timeout_seconds=environment.seconds("JOB_TIMEOUT_SECONDS", None, 0.1),
        kill_grace_seconds=environment.seconds("KILL_GRACE_SECONDS", 10.0, 0),
        drain_seconds=environment.seconds("DRAIN_SECONDS", 18.0, 0),
        finish_without_lease=environment.choice("ON_LEASE_LOSS", "stop", ("stop", "finish")) == "finish",
        cache_directory=environment.directory("CACHE_DIR"),
        cache_max_bytes=environment.whole_number("CACHE_MAX_BYTES", 5 * 1024**3, 0, MOST_BYTES),
        spool_directory=environment.directory("SPOOL_DIR"),
        download=_download_rules(environment),
        isolation=environment.choice("ISOLATION", "none", LEVELS),
        isolation_uid=environment.whole_number("ISOLATION_UID", FIRST_UID, 1, 2**31 - 1 - MOST_SLOTS),
        max_open_files=environment.whole_number("MAX_OPEN_FILES", 4096, 16, 2**20),
        env_passthrough=environment.words("ENV_PASSTHROUGH", NAME, "names of environment variables"),
        temporary_directory=environment.directory("TMPDIR") or TEMPORARY_DIRECTORY,
        misspelt=environment.misspelt(),  # the last: all names are known by now
    )


def usable_processors() -> int:
    """Return how many processors this process may use: those it may run on, or fewer when its cgroup gets less."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        processors = min(processors, max(math.ceil(int(quota) / int(period)), 1))  # "max" when there is no quota
    return processors


def _download_rules(environment: Environment) -> DownloadRules:
    default = DownloadRules()
    return DownloadRules(
        max_bytes=environment.whole_number("MAX_BINARY_BYTES", default.max_bytes, 1, MOST_BYTES),
        timeout_seconds=environment.seconds("DOWNLOAD_TIMEOUT_SECONDS", default.timeout_seconds, 0.1),
        allowed_hosts=environment.words("ALLOWED_BINARY_HOSTS", HOST, "hosts (host, host:port or *.domain)"),
    )


def _executor_id(text: str) -> str:
    if not text.isprintable() or re.search(r"\s", text) or len(text) > LONGEST_ID:
        raise ValueError
    return text


def _own_name() -> str:
    host = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:80] or "host"
    return f"{host}-{os.getpid()}-{secrets.token_hex(3)}"

"""The server's settings."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobqueue import settings
from jobqueue.access.entries import Entry
from jobqueue.net import trust
from jobqueue.net.destinations.hosts import binary_hosts
from jobqueue.queue.policy import Policy
from jobqueue.queue.transport.address import Login, check_url
from jobqueue.settings import (
    InvalidSetting,
    Setting,
    allow,
    choice,
    declare,
    job_timeout,
    log_format,
    seconds,
    secret,
    url,
    whole_number,
    words,
)
from jobqueue.web.access import settings as access
from jobqueue.web.rates.settings import rate_limit

HOST = (
    r"\[[0-9A-Fa-f:.]+(%[\w.-]+)?\]|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+(%[\w.-]+)?|[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?"
)
"""An IPv6 address with or without brackets, an IPv4 address, or a name."""

HOST_PATTERN = r"\*|(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?"

MOST = (0, 10**9)

OF_THE_WORKER = frozenset({"API_TOKEN", "API_TOKEN_FILE"})
"""The worker's settings whose names are nearly the server's."""


def _ca_file() -> Path | None:
    def parse(text: str) -> Path:
        path = allow(Path(text), text.startswith("/") and "\0" not in text)
        trust.add(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "REDIS_CA_FILE", path)
        return path

    meaning = "more certificates that are trusted for Redis"
    return declare(Setting[Path | None]("REDIS_CA_FILE", None, parse, "an absolute path", meaning, "none"))


@dataclass(frozen=True)
class ServerSettings:
    """What every process of the server reads."""

    redis_url: str = url(
        "REDIS_URL", "redis://127.0.0.1:6379/0", ("redis", "rediss", "unix"), "URL of Redis", check_url
    )
    redis_tls_verify: str = choice(
        "REDIS_TLS_VERIFY", ("1", "0"), "0: take any certificate of Redis (platforms that sign for themselves)"
    )
    redis_ca_file: Path | None = _ca_file()  # noqa: RUF009  # a field
    redis_username: str | None = secret("REDIS_USERNAME", "user of Redis, in place of the one in REDIS_URL")
    redis_password: str | None = secret("REDIS_PASSWORD", "password of Redis, in place of the one in REDIS_URL")
    lease_seconds: float = seconds("HEARTBEAT_TIMEOUT_SECONDS", Policy.lease_ms / 1000, 0.1, "length of a lease")
    executor_timeout_seconds: float = seconds(
        "EXECUTOR_TIMEOUT_SECONDS", Policy.executor_timeout_ms / 1000, 0.1, "how long a silent executor is listed"
    )
    max_attempts: int = whole_number("MAX_ATTEMPTS", Policy.max_attempts, (1, 1000), "lost attempts until a job fails")
    max_host_faults: int = whole_number(
        "MAX_HOST_FAULTS", Policy.max_host_faults, (1, 1000), "attempts that hosts could not make until a job fails"
    )
    retention_seconds: float = seconds(
        "JOB_RETENTION_SECONDS", Policy.retention_ms / 1000, 0, "how long ended jobs are kept"
    )
    idempotency_key_seconds: float = seconds(
        "IDEMPOTENCY_KEY_SECONDS", Policy.idempotency_key_ms / 1000, 0.1, "how long an Idempotency-Key is remembered"
    )
    job_timeout_seconds: float | None = job_timeout()
    api_tokens: tuple[Entry, ...] = access.tokens()
    api_tokens_file: Path | None = access.tokens_file()  # noqa: RUF009  # a field
    require_auth: str = choice("REQUIRE_AUTH", ("0", "1"), "1: do not start without tokens")
    require_attempt_token: bool | None = access.attempt_token()
    metrics_token: bytes = access.metrics_token()
    allowed_hosts: tuple[str, ...] = words(
        "ALLOWED_HOSTS",
        HOST_PATTERN,
        "host names without a port (in ASCII, as xn--…), *.domain or *",
        "names by which clients may call the API while it is open",
    )
    log_format: str = log_format()
    trusted_proxies: int = whole_number(
        "TRUSTED_PROXIES", 0, (0, 20), "how many proxies' X-Forwarded-… headers are believed"
    )
    binary_hosts: tuple[str, ...] = binary_hosts()
    rate_limit: str = rate_limit()
    max_pending: int = whole_number("MAX_PENDING_JOBS", 0, MOST, "how many jobs may be pending; 0 for any number")
    max_pending_of_type: int = whole_number(
        "MAX_PENDING_JOBS_PER_TYPE", 0, MOST, "how many jobs of one type may be pending; 0 for any number"
    )
    max_types: int = whole_number("MAX_TYPES", 0, MOST, "how many types of jobs there may be; 0 for any number")
    max_executors: int = whole_number("MAX_EXECUTORS", 0, MOST, "how many executors may be active; 0 for any number")

    @property
    def is_open(self) -> bool:
        """Whether no tokens are configured, so that everybody who reaches the API may do everything."""
        return not self.api_tokens and self.api_tokens_file is None

    @property
    def requires_attempt_token(self) -> bool:
        """Whether executors must send the token of the attempt with everything that they say about a job."""
        return not self.is_open if self.require_attempt_token is None else self.require_attempt_token

    @property
    def verifies_redis(self) -> bool:
        """Whether the certificate of Redis must be signed by somebody we trust."""
        return self.redis_tls_verify == "1"

    @property
    def redis_login(self) -> Login:
        """What is known of the login to Redis besides the URL."""
        return Login(self.redis_username, self.redis_password, self.redis_ca_file)

    @property
    def policy(self) -> Policy:
        """The settings of the queue."""
        return Policy(
            lease_ms=round(self.lease_seconds * 1000),
            executor_timeout_ms=round(self.executor_timeout_seconds * 1000),
            max_attempts=self.max_attempts,
            retention_ms=round(self.retention_seconds * 1000),
            timeout_seconds=self.job_timeout_seconds,
            max_host_faults=self.max_host_faults,
            idempotency_key_ms=round(self.idempotency_key_seconds * 1000),
            max_pending=self.max_pending,
            max_pending_of_type=self.max_pending_of_type,
            max_types=self.max_types,
            max_executors=self.max_executors,
        )


@dataclass(frozen=True)
class GunicornSettings:
    """What only the configuration of gunicorn reads."""

    bind: tuple[str, ...] = words(
        "BIND",
        HOST,
        "addresses or host names without a port",
        "addresses on which the API listens",
        "all addresses, IPv4 and IPv6 where there is one",
    )
    port: int = whole_number("PORT", 8080, (1, 65535), "where the API listens")
    processes: int = whole_number("WEB_CONCURRENCY", 2, (1, 64), "number of server processes")
    metrics_directory: str = declare(
        Setting("PROMETHEUS_MULTIPROC_DIR", "", str, "a path", "where counts of requests outlive the server", "none")
    )


def load(variables: Mapping[str, str]) -> ServerSettings:
    """Read the settings. Raises InvalidSetting with a sentence for the operator."""
    loaded = settings.load(ServerSettings, variables)
    if loaded.require_auth == "1" and loaded.is_open:
        raise InvalidSetting(
            "REQUIRE_AUTH is '1', but no tokens are configured: set API_TOKENS or API_TOKENS_FILE. "
            "`python -m jobqueue token NAME SCOPE...` makes a token."
        )
    if loaded.redis_ca_file and not loaded.redis_url.startswith("rediss://"):
        raise InvalidSetting("REDIS_CA_FILE is set, but TLS needs a REDIS_URL that starts with rediss.")
    return loaded


def misspelt(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables whose names are close to a setting of the server, each with the name of that setting.

    Platforms often give server and worker the same variables. So a token of the worker only counts where no tokens are
    configured: then it is most likely a slip that leaves the API open to everybody.
    """
    is_open = not any(variables.get(name, "").strip() for name in ("API_TOKENS", "API_TOKENS_FILE"))
    others = [name for name in variables if is_open or name not in OF_THE_WORKER]
    declared = {**settings.declared(ServerSettings), **settings.declared(GunicornSettings)}
    return settings.misspelt(others, [setting.name for setting in declared.values()])


def load_gunicorn(variables: Mapping[str, str]) -> GunicornSettings:
    """Read the settings of gunicorn. Raises InvalidSetting."""
    return settings.load(GunicornSettings, variables)

"""What the server can be told by its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jobqueue.queue.connection import check_url
from jobqueue.queue.policy import Policy
from jobqueue.settings import Environment

DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"


@dataclass(frozen=True)
class ServerSettings:
    """The server's settings, read from:

    REDIS_URL: where Redis is, `redis://`, `rediss://` or `unix://`.
    HEARTBEAT_TIMEOUT_SECONDS (60): silence after which an executor has lost its job.
    EXECUTOR_TIMEOUT_SECONDS (120): silence after which an executor is no longer listed.
    MAX_ATTEMPTS (3): executors a job may lose before it fails.
    JOB_RETENTION_SECONDS (604800): how long ended jobs are kept.
    JOB_TIMEOUT_SECONDS (none): how long a program may run whose job does not say.
    """

    redis_url: str
    policy: Policy


def load(variables: Mapping[str, str]) -> ServerSettings:
    """Read the settings. Raises InvalidSetting with a sentence for whoever starts the server."""
    environment = Environment(variables)
    default = Policy()
    return ServerSettings(
        redis_url=environment.url("REDIS_URL", DEFAULT_REDIS_URL, ("redis", "rediss", "unix"), check_url),
        policy=Policy(
            lease_ms=environment.milliseconds("HEARTBEAT_TIMEOUT_SECONDS", default.lease_ms, 0.1),
            executor_timeout_ms=environment.milliseconds("EXECUTOR_TIMEOUT_SECONDS", default.executor_timeout_ms, 0.1),
            max_attempts=environment.whole_number("MAX_ATTEMPTS", default.max_attempts, 1, 1000),
            retention_ms=environment.milliseconds("JOB_RETENTION_SECONDS", default.retention_ms, 0),
            timeout_seconds=environment.milliseconds("JOB_TIMEOUT_SECONDS", 0, 0.1) / 1000 or None,
        ),
    )


def load_port(variables: Mapping[str, str]) -> int:
    """Read PORT (8080), where the API listens. Raises InvalidSetting."""
    return Environment(variables).whole_number("PORT", 8080, 1, 65535)

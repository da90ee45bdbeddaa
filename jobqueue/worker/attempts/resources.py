"""What attempts are made with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from jobqueue.worker.attempts.attempt import StopPolicy
from jobqueue.worker.attempts.heartbeat import Heartbeats
from jobqueue.worker.attempts.signatures import Signatures
from jobqueue.worker.breaker import Breaker
from jobqueue.worker.programs.cache import Cache
from jobqueue.worker.reports.delivery import Delivery
from jobqueue.worker.reports.spool import Spool
from jobqueue.worker.shutdown import Shutdown
from jobqueue.worker.slots.workspace import Workspaces


@dataclass(frozen=True)
class Resources:
    """What attempts are made with, shared by all slots of a worker."""

    programs: Cache
    workspaces: Workspaces
    spool: Spool
    delivery: Delivery
    heartbeats: Heartbeats
    breaker: Breaker
    shutdown: Shutdown
    stop_policy: StopPolicy
    executor_id: str
    variables: Mapping[str, str]
    """The environment variables that every program gets, besides those of its job."""
    job_timeout_seconds: float | None
    """The time limit of a program whose job has none."""
    signatures: Signatures = field(default_factory=Signatures)

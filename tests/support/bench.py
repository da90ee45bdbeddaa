"""A queue on a store, with a clock that tests set by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import redis

from jobqueue.job import NewJob, Priority, Spec
from jobqueue.queue.claims import Claims
from jobqueue.queue.commands import Commands
from jobqueue.queue.connection import Connection
from jobqueue.queue.policy import Policy
from jobqueue.queue.queries import Executor, Queries
from jobqueue.queue.scripts import Scripts
from tests.support.clock import Clock
from tests.support.logins import as_server

SHA256 = "ab" * 32


@dataclass
class Bench:
    """A queue on a store, with a clock by hand.

    `client` may do everything on a store of the fixtures. The queue itself has the login of the server there.
    """

    client: redis.Redis
    policy: Policy = field(default_factory=Policy)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.connection = Connection(as_server(self.client))
        self.scripts = Scripts(self.connection)
        self.commands = Commands(self.scripts, self.policy, self.clock)
        self.claims = Claims(self.scripts, self.policy, self.clock)
        self.queries = Queries(self.scripts, self.policy, self.clock)

    def submit(self, count: int = 1, priority: Priority = Priority.BACKGROUND, type: str = "demo") -> list[str]:
        """Submit jobs; return their ids."""
        return list(self.commands.submit([new_job(priority, type)] * count).job_ids)

    def executors(self) -> Sequence[Executor]:
        """Return the active executors, at most a thousand, the one seen last first."""
        return self.queries.executors(1000, 0).executors

    def pass_time(self, milliseconds: int) -> None:
        """Let time pass, with sweeps as often as a server's sweeper makes them."""
        step = max(min(self.policy.lease_ms // 4, 1000), 1)
        while milliseconds > 0:
            self.clock.advance(min(step, milliseconds))
            milliseconds -= step
            while self.commands.sweep().more:
                pass


def new_job(priority: Priority = Priority.BACKGROUND, type: str = "demo") -> NewJob:
    """Return a job to submit."""
    return NewJob(type, priority, Spec("http://127.0.0.1:1/program", SHA256, ["one", "two"], {"KEY": "value"}))

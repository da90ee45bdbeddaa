"""What every room's tests may ask for: a real server, an empty store, a queue on top of it with a clock by hand."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO, cast

import fakeredis
import pytest
import redis

from jobqueue import logs
from jobqueue.job import NewJob, Priority, Spec
from jobqueue.queue.commands import Commands
from jobqueue.queue.connection import Connection, connect
from jobqueue.queue.policy import Rules
from jobqueue.queue.queries import Queries
from jobqueue.queue.scripts import Scripts
from tests.support.servers import running_redis

SHA256 = "ab" * 32
START_MS = 1_700_000_000_000


@pytest.fixture(scope="session", autouse=True)
def _logs() -> None:
    """Log to the real standard error: the one that pytest puts in its place is closed after each test."""
    logs.configure(cast(TextIO, sys.__stderr__))


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A real server of this test process's own."""
    with tempfile.TemporaryDirectory(prefix="jq-") as folder, running_redis(Path(folder)) as url:
        yield url


@pytest.fixture
def redis_url(server_url: str) -> str:
    """The real server, emptied."""
    with redis.Redis.from_url(server_url) as client:
        client.flushall()
    return server_url


@pytest.fixture
def real_client(redis_url: str) -> Iterator[redis.Redis]:
    """A client of the real server, as the product makes it."""
    with connect(redis_url) as client:
        yield client


@pytest.fixture(params=["real", "fake"])
def client(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    """A client of an empty store: the real server decides, fakeredis must agree."""
    if request.param == "real":
        yield request.getfixturevalue("real_client")
    else:
        yield fakeredis.FakeRedis(decode_responses=True)


@dataclass
class Clock:
    """A clock that tests set by hand, in milliseconds."""

    now_ms: int = START_MS

    def __call__(self) -> str:
        return str(self.now_ms)

    def advance(self, milliseconds: int) -> None:
        """Let time pass."""
        self.now_ms += milliseconds


@dataclass
class Bench:
    """A queue on a store, with a clock by hand."""

    client: redis.Redis
    rules: Rules = field(default_factory=Rules)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.connection = Connection(self.client)
        self.scripts = Scripts(self.connection)
        self.commands = Commands(self.scripts, self.rules, self.clock)
        self.queries = Queries(self.scripts, self.rules, self.clock)

    def submit(self, count: int = 1, priority: Priority = Priority.BACKGROUND, type: str = "demo") -> list[str]:
        """Submit jobs; return their ids."""
        return list(self.commands.submit([new_job(priority, type)] * count).job_ids)

    def pass_time(self, milliseconds: int) -> None:
        """Let time pass while the timer sweeps as it does in every server: a lease that ends on the way is taken."""
        step = max(min(self.rules.lease_ms // 4, 1000), 1)
        while milliseconds > 0:
            self.clock.advance(min(step, milliseconds))
            milliseconds -= step
            while self.commands.sweep().more:
                pass


def new_job(priority: Priority = Priority.BACKGROUND, type: str = "demo") -> NewJob:
    """Return a job to submit."""
    return NewJob(type, priority, Spec("http://127.0.0.1:1/program", SHA256, ["one", "two"], {"KEY": "value"}))


@pytest.fixture
def bench(client: redis.Redis) -> Bench:
    """A queue on each kind of store, with the documented rules."""
    return Bench(client)


@pytest.fixture
def real_bench(real_client: redis.Redis) -> Bench:
    """A queue on the real server, with the documented rules."""
    return Bench(real_client)

"""A slot and programs to run in it, and a fake API with connections to it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from ipaddress import ip_address
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from jobqueue.client.batches import Batches
from jobqueue.client.claimed_job import ClaimedJob
from jobqueue.client.transport import Transport
from jobqueue.net.destinations.addresses import Kind, kind_of
from jobqueue.worker.attempts.attempt import Attempt, StopPolicy
from jobqueue.worker.attempts.environment import shared_variables
from jobqueue.worker.attempts.heartbeat import Heartbeats
from jobqueue.worker.attempts.resources import Resources
from jobqueue.worker.attempts.runner import Runner
from jobqueue.worker.breaker import Breaker
from jobqueue.worker.programs.cache import Cache
from jobqueue.worker.reports.delivery import Delivery
from jobqueue.worker.reports.spool import Spool
from jobqueue.worker.shutdown import Shutdown
from jobqueue.worker.slots.slot import Slot
from jobqueue.worker.slots.workspace import Workspaces
from tests.support.downloads import short_retries
from tests.support.fake_api import FakeApi, running_api
from tests.support.programs import Stage
from tests.support.running import Ran, Run
from tests.support.slots import open_slot, sparing_children
from tests.support.spooling import SHORT_PAUSES
from tests.support.waiting import TIME_LIMIT_SECONDS


@pytest.fixture
def slot() -> Iterator[Slot]:
    slot = open_slot()
    yield slot
    slot.close()


@pytest.fixture
def stage(slot: Slot, tmp_path: Path) -> Stage:
    return Stage(slot, tmp_path)


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with running_api() as api:
        yield api


@pytest.fixture
def connect(api: FakeApi) -> Iterator[Callable[[], Batches]]:
    """Makes connections to the fake API."""
    with ExitStack() as stack:

        def connect() -> Batches:
            connection = Batches(Transport(api.url), "executor-1")
            stack.callback(connection.close)
            return connection

        yield connect


@pytest.fixture
def connection(connect: Callable[[], Batches]) -> Batches:
    return connect()


@pytest.fixture
def breaker() -> Breaker:
    return Breaker()


@pytest.fixture
def temporary(tmp_path: Path) -> Iterator[Path]:
    """The directory for workspaces; none may be left at the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    yield folder
    left = list(folder.iterdir())
    subprocess.run(["rm", "-rf", folder], check=True)  # what one test leaves is too deep for Python
    assert left == []


@pytest.fixture
def shutdown() -> Shutdown:
    return Shutdown()


@pytest.fixture
def resources(
    connect: Callable[[], Batches], temporary: Path, tmp_path: Path, shutdown: Shutdown, breaker: Breaker
) -> Iterator[Resources]:
    """What attempts are made with, in this test's own directories."""
    spool_directory = tmp_path / "spool"
    spool_directory.mkdir()
    spool = Spool(spool_directory, "http://api")
    delivery = Delivery(spool, connect, SHORT_PAUSES)
    delivery.start()
    stop_policy = StopPolicy(may_outlive_lease=False, kill_grace_seconds=10)
    heartbeats = Heartbeats(connect(), stop_policy)
    heartbeats.start()
    with closing(Workspaces(sparing_children(), temporary)) as workspaces:
        yield Resources(
            programs=Cache(tmp_path / "cache", 1 << 30, short_retries()),
            workspaces=workspaces,
            spool=spool,
            delivery=delivery,
            heartbeats=heartbeats,
            breaker=breaker,
            shutdown=shutdown,
            stop_policy=stop_policy,
            executor_id="executor-1",
            variables=shared_variables({}, ()),
            job_timeout_seconds=None,
        )
    heartbeats.close()
    delivery.close(0)


@pytest.fixture
def run(resources: Resources, slot: Slot, connect: Callable[[], Batches]) -> Iterator[Run]:
    """Makes an attempt at a job, with some of the resources replaced if a test says so; waits for its report to be
    answered, unless `reported` is false.
    """

    with ExitStack() as stack:

        def run(job: ClaimedJob, reported: bool = True, **replaced: Any) -> Ran:
            if "stop_policy" in replaced:
                replaced["heartbeats"] = Heartbeats(connect(), replaced["stop_policy"])
                stack.callback(replaced["heartbeats"].close)
                replaced["heartbeats"].start()
            used = replace(resources, **replaced)
            attempt = Attempt(job, slot)
            used.heartbeats.add(attempt)
            verdict = Runner(used).run(attempt)
            if reported:
                assert used.delivery.wait_until_sent(TIME_LIMIT_SECONDS)
            return Ran(attempt, verdict)

        yield run


@pytest.fixture(autouse=True)
def public_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this machine, where the servers of these tests are, count as public: what it answers is told to the job."""

    def kind(address: str) -> Kind:
        return Kind.PUBLIC if ip_address(address).is_loopback else kind_of(address)

    for module in ("jobqueue.net.destinations.addresses", "jobqueue.worker.programs.policy"):
        monkeypatch.setattr(f"{module}.kind_of", kind)


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make downloads that are tried again wait only a moment."""
    monkeypatch.setattr("jobqueue.worker.programs.download.backoff", lambda *_: repeat(0.01))

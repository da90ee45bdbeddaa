"""A slot and programs to run in it, and a fake API with connections to it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from jobqueue.client.claims import ClaimedJob, Claims
from jobqueue.client.transport import Transport
from jobqueue.worker.attempts.attempt import Attempt, StopPolicy
from jobqueue.worker.attempts.delivery import Delivery
from jobqueue.worker.attempts.environment import shared_variables
from jobqueue.worker.attempts.runner import Resources, Runner
from jobqueue.worker.attempts.spool import Spool
from jobqueue.worker.programs.cache import Cache
from jobqueue.worker.shutdown import Shutdown
from jobqueue.worker.slots.slot import Slot
from jobqueue.worker.slots.workspace import Workspaces
from tests.support.downloads import short_retries
from tests.support.fake_api import FakeApi
from tests.support.programs import Stage
from tests.support.running import Ran, Run
from tests.support.slots import open_slot, sparing_children
from tests.support.spooling import SHORT_PAUSES


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
    api = FakeApi()
    api.server.start()
    yield api
    api.server.close()


@pytest.fixture
def connect(api: FakeApi) -> Iterator[Callable[[], Claims]]:
    """Makes connections to the fake API."""
    with ExitStack() as stack:

        def connect() -> Claims:
            claims = Claims(Transport(api.url), "executor-1")
            stack.callback(claims.close)
            return claims

        yield connect


@pytest.fixture
def claims(connect: Callable[[], Claims]) -> Claims:
    return connect()


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
    connect: Callable[[], Claims], temporary: Path, tmp_path: Path, shutdown: Shutdown
) -> Iterator[Resources]:
    """What attempts are made with, in this test's own directories."""
    spool_directory = tmp_path / "spool"
    spool_directory.mkdir()
    spool = Spool(spool_directory, "http://api")
    delivery = Delivery(spool, connect, SHORT_PAUSES)
    delivery.start()
    with closing(Workspaces(sparing_children(), temporary)) as workspaces:
        yield Resources(
            connect=connect,
            programs=Cache(tmp_path / "cache", 1 << 30, short_retries()),
            workspaces=workspaces,
            spool=spool,
            delivery=delivery,
            shutdown=shutdown,
            stop_policy=StopPolicy(may_outlive_lease=False, kill_grace_seconds=10),
            variables=shared_variables({}, ()),
            job_timeout_seconds=None,
        )
    delivery.close(0)


@pytest.fixture
def run(resources: Resources, slot: Slot) -> Run:
    """Makes an attempt at a job, with some of the resources replaced if a test says so."""

    def run(job: ClaimedJob, **replaced: Any) -> Ran:
        attempt = Attempt(job, slot)
        with closing(Runner(replace(resources, **replaced))) as runner:
            return Ran(attempt, runner.run(attempt))

    return run


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make downloads that are tried again wait only a moment."""
    monkeypatch.setattr("jobqueue.worker.programs.download.backoff", lambda *_: repeat(0.01))

"""A slot with a stage to run programs on, and a fake API with a way to speak to it."""

from __future__ import annotations

import gc
import subprocess
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from jobqueue.client.claims import ClaimedJob, Claims
from jobqueue.client.transport import Transport
from jobqueue.worker.attempts.attempt import Attempt
from jobqueue.worker.attempts.environment import shared_variables
from jobqueue.worker.attempts.runner import Means, Runner
from jobqueue.worker.attempts.spool import Spool
from jobqueue.worker.programs.cache import Cache
from jobqueue.worker.programs.download import DownloadRules
from jobqueue.worker.shutdown import Shutdown
from jobqueue.worker.slots.slot import Slot
from jobqueue.worker.slots.workspace import Workspaces
from tests.support.fake_api import FakeApi
from tests.support.programs import Stage
from tests.support.slots import open_slot, sparing_children

Run = Callable[..., Attempt]


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
    """Where workspaces lie; none may be left at the end."""
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
def means(connect: Callable[[], Claims], temporary: Path, tmp_path: Path, shutdown: Shutdown) -> Iterator[Means]:
    """All that attempts are made with, on this test's own directories."""
    spool_directory = tmp_path / "spool"
    spool_directory.mkdir()
    spool = Spool(spool_directory, "http://api", connect)
    spool.start()
    with closing(Workspaces(sparing_children(), temporary)) as workspaces:
        yield Means(
            connect=connect,
            programs=Cache(tmp_path / "cache", 1 << 30, DownloadRules()),
            workspaces=workspaces,
            spool=spool,
            shutdown=shutdown,
            variables=shared_variables({}, ()),
        )
    spool.close(0)


@pytest.fixture
def run(means: Means, slot: Slot) -> Run:
    """Makes an attempt at a job, with other means than usual if so told; returns it when it is over."""

    def run(job: ClaimedJob, **other: Any) -> Attempt:
        attempt = Attempt(job, slot)
        with closing(Runner(replace(means, **other))) as runner:
            runner.run(attempt)
        return attempt

    return run


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is tried again be tried again soon."""
    for module in ("worker.attempts.spool", "worker.programs.download"):
        monkeypatch.setattr(f"jobqueue.{module}.backoff", lambda *_: repeat(0.01))


@pytest.fixture
def collected() -> Iterator[None]:
    """Leave no garbage to later tests: connections of failed downloads are closed by the collector alone."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()

"""A deployment that all tests of a process share, emptied for each, and one of its own for a test that breaks parts."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from tests.support.deployment import Api, Deployment, deployed, running_api, running_host
from tests.support.restartable_redis import RestartableRedis


@pytest.fixture(scope="session")
def standing() -> Iterator[tuple[RestartableRedis, Api]]:
    """Redis and an API that no test may break."""
    with tempfile.TemporaryDirectory(prefix="jq-", ignore_cleanup_errors=True) as folder:
        store = RestartableRedis(Path(folder))
        store.start()
        try:
            with running_api(Path(folder), store.url) as api:
                yield store, api
        finally:
            store.kill()


@pytest.fixture
def deployment(standing: tuple[RestartableRedis, Api], tmp_path: Path) -> Iterator[Deployment]:
    """An empty queue; workers may be killed, but neither Redis nor the API."""
    store, api = standing
    with redis.Redis.from_url(store.url) as client:
        client.flushall()
    with running_host() as (host, programs), deployed(api, host, programs, tmp_path) as deployment:
        yield deployment


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RestartableRedis]:
    """A Redis that a test may kill. It stores a change before it answers: with its default it may answer up to two
    seconds earlier while the disk is busy, and the tests are not about that.
    """
    store = RestartableRedis(tmp_path, ("--appendfsync", "always"))
    store.start()
    yield store
    store.kill()


@pytest.fixture
def deploy(store: RestartableRedis, tmp_path: Path) -> Iterator[Callable[[float], Deployment]]:
    """Makes a deployment on that Redis with a lease of that many seconds. A test may kill any part of it."""
    with ExitStack() as stack:

        def deploy(lease_seconds: float) -> Deployment:
            api = stack.enter_context(running_api(tmp_path, store.url, lease_seconds))
            host, programs = stack.enter_context(running_host())
            return stack.enter_context(deployed(api, host, programs, tmp_path))

        yield deploy

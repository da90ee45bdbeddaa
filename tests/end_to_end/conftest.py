"""A deployment that all tests of a process share, emptied for each, and one of its own for a test that breaks parts."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from tests.support.deployment import LEASE_SECONDS, Deployment, deployed, running_host
from tests.support.logins import administrator
from tests.support.redis_server import running_redis
from tests.support.restartable_redis import RestartableRedis, restartable_redis
from tests.support.serving import Server, running_api


@pytest.fixture(scope="session")
def standing() -> Iterator[tuple[str, Server]]:
    """The URL of a Redis, and an API on it. No test may break them."""
    with tempfile.TemporaryDirectory(prefix="jq-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with running_redis(folder) as redis_url, api_on(redis_url, folder, LEASE_SECONDS) as api:
            yield redis_url, api


def api_on(redis_url: str, folder: Path, lease_seconds: float) -> AbstractContextManager[Server]:
    """Return a running API with this lease."""
    return running_api(folder, REDIS_URL=redis_url, HEARTBEAT_TIMEOUT_SECONDS=str(lease_seconds))


@pytest.fixture
def deployment(standing: tuple[str, Server], tmp_path: Path) -> Iterator[Deployment]:
    """An empty queue; workers may be killed, but neither Redis nor the API."""
    redis_url, api = standing
    with administrator(redis_url) as client:
        client.flushall()
    with running_host() as (host, programs), deployed(api, host, programs, tmp_path) as deployment:
        yield deployment


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RestartableRedis]:
    """A Redis that a test may kill."""
    with restartable_redis(tmp_path) as store:
        store.start()
        yield store


@pytest.fixture
def deploy(store: RestartableRedis, tmp_path: Path) -> Iterator[Callable[[float], Deployment]]:
    """Makes a deployment on that Redis with a lease of that many seconds. A test may kill any part of it."""
    with ExitStack() as stack:

        def deploy(lease_seconds: float) -> Deployment:
            api = stack.enter_context(api_on(store.url, tmp_path, lease_seconds))
            host, programs = stack.enter_context(running_host())
            return stack.enter_context(deployed(api, host, programs, tmp_path))

        yield deploy

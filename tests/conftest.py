"""Fixtures for all tests: a real Redis server, an empty store, a queue on it whose clock is set by hand, and the API
with short time limits.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, cast

import fakeredis
import pytest
import redis

from jobqueue import logs
from jobqueue.local import run
from tests.support.bench import Bench
from tests.support.impatient import OPTIONS
from tests.support.logins import administrator, connect_as_administrator
from tests.support.redis_server import running_redis
from tests.support.serving import Server, standing_api


@pytest.fixture(scope="session", autouse=True)
def _signals() -> None:
    """Take signals as usual, also when `nohup` has started pytest, or a script in the background: the processes of the
    tests would ignore them, too.
    """
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def _ports() -> None:
    """Choose free ports among those of this process: two servers that start at once must not get the same one."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    run.PORTS = run.PORTS[number :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]


@pytest.fixture(scope="session", autouse=True)
def _logs() -> None:
    """Log to the real standard error, because pytest closes its replacement after each test."""
    logs.configure(cast(TextIO, sys.__stderr__))


@pytest.fixture(autouse=True)
def nothing_put_off() -> None:
    """Log what the test before has put off, so that this one does not find it in its own log."""
    logs.flush()


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """A stream with everything that is logged during the test."""
    stream = io.StringIO()
    logs.configure(stream)
    yield stream
    logs.flush()
    logs.configure(cast(TextIO, sys.__stderr__))


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A real server, one for each test process."""
    with tempfile.TemporaryDirectory(prefix="jq-") as folder, running_redis(Path(folder)) as url:
        yield url


@pytest.fixture
def redis_url(server_url: str) -> str:
    """The real server, emptied."""
    with administrator(server_url) as client:
        client.flushall()
    return server_url


@pytest.fixture
def real_client(redis_url: str) -> Iterator[redis.Redis]:
    """An administrator's client of the real server, made as the product makes its own."""
    with connect_as_administrator(redis_url) as client:
        yield client


@pytest.fixture(params=["real", "fake"])
def client(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    """A client of an empty store, once on the real server and once on fakeredis, which must agree."""
    if request.param == "real":
        yield request.getfixturevalue("real_client")
    else:
        yield fakeredis.FakeRedis(decode_responses=True)


@pytest.fixture
def bench(client: redis.Redis) -> Bench:
    """A queue on each kind of store, with the default policy."""
    return Bench(client)


@pytest.fixture
def real_bench(real_client: redis.Redis) -> Bench:
    """A queue on the real server, with the default policy."""
    return Bench(real_client)


@pytest.fixture(scope="session")
def impatient() -> Iterator[Server]:
    """The API in one process, with the limits of `tests.support.impatient`, on a Redis of its own. Tests share it."""
    with standing_api(WEB_CONCURRENCY="1", GUNICORN_CMD_ARGS=OPTIONS) as server:
        yield server

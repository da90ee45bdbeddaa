"""Fixtures of the HTTP API: the app in this process, on an emptied real Redis; and the API as gunicorn serves it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from jobqueue.queue.policy import Policy
from tests.support.bench import Bench
from tests.support.clock import START_MS
from tests.support.logins import connect_as_administrator
from tests.support.serving import Server, standing_api
from tests.support.web import Api


@pytest.fixture
def policy() -> Policy:
    """The documented policy. A test that needs another one parametrizes this."""
    return Policy()


@pytest.fixture(scope="session")
def usual_api(server_url: str) -> Iterator[Api]:
    """The app with the documented policy, created once."""
    with connect_as_administrator(server_url) as client:
        yield Api(Bench(client))


@pytest.fixture
def api(real_client: redis.Redis, usual_api: Api, policy: Policy) -> Api:
    """The app on the emptied real server, with the test clock at START."""
    if policy != Policy():
        return Api(Bench(real_client, policy))
    usual_api.bench.clock.now_ms = START_MS
    return usual_api


@pytest.fixture(scope="session")
def served() -> Iterator[Server]:
    """The API under gunicorn with two processes, on a Redis of its own. All tests share it; nobody empties it."""
    with standing_api() as server:
        yield server

"""Fixtures for a connection to Redis that can be cut, for logged events, and for the settings of the server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from structlog.testing import capture_logs
from structlog.typing import EventDict

from tests.support.redis_proxy import Proxy


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    """A proxy in front of the real server, emptied."""
    proxy = Proxy(redis_url)
    with proxy.running():
        yield proxy


@pytest.fixture
def logged() -> Iterator[list[EventDict]]:
    """The events logged so far, by any thread."""
    with capture_logs() as events:
        yield events


@pytest.fixture
def configured(real_client: redis.Redis) -> Iterator[redis.Redis]:
    """A client of the real server. A test may change its memory settings, which are restored afterwards."""
    names = ("maxmemory", "maxmemory-policy")
    before = {name: str(real_client.config_get(name)[name]) for name in names}
    yield real_client
    for name, value in before.items():
        real_client.config_set(name, value)

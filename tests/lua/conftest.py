"""A bench that is checked after each test: every job must agree with every index."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.support.bench import Bench
from tests.support.consistency import check


@pytest.fixture
def bench(client: redis.Redis) -> Iterator[Bench]:
    """A queue on each kind of store, with the default policy."""
    yield Bench(client)
    assert check(client) == []

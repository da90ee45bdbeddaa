"""The server with short time limits, in one process."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.impatient import OPTIONS
from tests.support.redis_server import running_redis
from tests.support.serving import Server, running_api


@pytest.fixture(scope="session")
def impatient() -> Iterator[Server]:
    """The API with the limits of `tests.support.impatient`, on a Redis of its own. All tests share it."""
    with tempfile.TemporaryDirectory(prefix="jq-") as name:
        folder = Path(name)
        variables = {"WEB_CONCURRENCY": "1", "GUNICORN_CMD_ARGS": OPTIONS}
        with running_redis(folder) as redis_url, running_api(folder, REDIS_URL=redis_url, **variables) as server:
            yield server

"""The server with short time limits, in one process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.impatient import OPTIONS
from tests.support.serving import Server, standing_api


@pytest.fixture(scope="session")
def impatient() -> Iterator[Server]:
    """The API with the limits of `tests.support.impatient`, on a Redis of its own. All tests share it."""
    with standing_api(WEB_CONCURRENCY="1", GUNICORN_CMD_ARGS=OPTIONS) as server:
        yield server

"""What the tests of threats share: the API as the command `jobqueue-server` serves it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.serving import Server, standing_api

COMMAND = ("-m", "jobqueue.web.server")


@pytest.fixture(scope="session")
def served() -> Iterator[Server]:
    """The server in one process, on a Redis of its own. All tests share it; none may leave a job behind."""
    with standing_api(COMMAND, WEB_CONCURRENCY="1") as server:
        yield server

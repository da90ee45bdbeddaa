"""A sandbox at every level of isolation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobqueue.worker.isolation import levels
from tests.support.confined import Sandbox, sandbox


@pytest.fixture(params=levels.LEVELS)
def any_level(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with sandbox(request.param) as made:
        yield made

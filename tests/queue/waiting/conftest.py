"""Fixtures of the tests about claims that wait."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.waits import Room
from tests.support.waits import room as open_room


@pytest.fixture
def room() -> Iterator[Room]:
    """A room in which nobody waits yet."""
    with open_room() as opened:
        yield opened

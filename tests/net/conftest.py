"""A server to connect to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.fake_server import FakeServer, in_json, serving


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server that answers 200 with an empty object, unless the test sets another answer."""
    with serving(lambda _: in_json({})) as server:
        yield server

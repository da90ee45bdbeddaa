"""A server that plays the API, and a transport to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from jobqueue.client.transport import Transport
from tests.support.fake_server import FakeServer, in_json, serving


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server that answers 200 with an empty object, unless the test sets another answer."""
    with serving(lambda _: in_json({})) as server:
        yield server


@pytest.fixture
def transport(server: FakeServer) -> Iterator[Transport]:
    """A transport to that server."""
    with closing(Transport(server.url)) as transport:
        yield transport

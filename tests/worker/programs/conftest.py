"""Hosts of programs, a path to download to, a cache, and threads that wait for it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.downloads import PROGRAM, Shop
from tests.support.fake_server import FakeServer, Reply, serving


@pytest.fixture
def host() -> Iterator[FakeServer]:
    """A host that answers every request with the program."""
    with serving(lambda _: Reply(body=PROGRAM)) as server:
        yield server


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where to download to."""
    return tmp_path / "program"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A cache, and a host that has every program."""
    with serving(lambda _: Reply(500)) as host:
        yield Shop(tmp_path, host)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads of which each can wait for a program."""
    with ThreadPoolExecutor(8) as pool:
        yield pool

"""A slot with a stage to run programs on, and a fake API with a way to speak to it."""

from __future__ import annotations

import gc
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path

import pytest

from jobqueue.client.claims import Claims
from jobqueue.client.transport import Transport
from jobqueue.worker.slot import Slot
from tests.worker.fake_api import FakeApi
from tests.worker.programs import Stage


@pytest.fixture
def slot() -> Iterator[Slot]:
    slot = Slot()
    yield slot
    slot.close()


@pytest.fixture
def stage(slot: Slot, tmp_path: Path) -> Stage:
    return Stage(slot, tmp_path)


@pytest.fixture
def api() -> Iterator[FakeApi]:
    api = FakeApi()
    api.server.start()
    yield api
    api.server.close()


@pytest.fixture
def connect(api: FakeApi) -> Iterator[Callable[[], Claims]]:
    """Makes connections to the fake API."""
    with ExitStack() as stack:

        def connect() -> Claims:
            claims = Claims(Transport(api.url), "executor-1")
            stack.callback(claims.close)
            return claims

        yield connect


@pytest.fixture
def claims(connect: Callable[[], Claims]) -> Claims:
    return connect()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where workspaces lie; none may be left at the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    left = list(folder.iterdir())
    subprocess.run(["rm", "-rf", folder], check=True)  # what one test leaves is too deep for Python
    assert left == []


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is tried again be tried again soon."""
    for module in ("client.retry", "worker.download"):
        monkeypatch.setattr(f"jobqueue.{module}.backoff", lambda *_: repeat(0.01))


@pytest.fixture
def collected() -> Iterator[None]:
    """Leave no garbage to later tests: connections of failed downloads are closed by the collector alone."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()

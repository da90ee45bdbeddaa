"""A spool and its delivery, for the tests whose `api` is a plain server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fake_server import FakeServer
from tests.support.spooling import SHORT_PAUSES, Spooling, spooling


@pytest.fixture
def reports(api: FakeServer, tmp_path: Path) -> Iterator[Spooling]:
    with spooling(tmp_path, api, SHORT_PAUSES) as reports:
        yield reports
        api.close()  # so that nothing is delivered while the delivery closes

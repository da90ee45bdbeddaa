"""The log: one event per line, whatever is in it."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import TextIO, cast

import pytest

from jobqueue import logs


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What is logged meanwhile."""
    stream = io.StringIO()
    logs.configure(stream)
    yield stream
    logs.configure(cast(TextIO, sys.__stderr__))


def test_an_event_is_one_line_however_hostile_its_values_are(written: io.StringIO) -> None:
    logs.logger().info("claim", job_id="a\r\nlevel=error event=forged \x1b[31mred\x1b[0m\x85")
    (line,) = written.getvalue().splitlines()
    assert line.isprintable()
    assert "event=claim" in line


def test_an_exception_is_told_on_the_line_of_its_event(written: io.StringIO) -> None:
    try:
        raise RuntimeError("broken\nin two")
    except RuntimeError:
        logs.logger().exception("crash")
    assert len(written.getvalue().splitlines()) == 1
    assert "RuntimeError" in written.getvalue()

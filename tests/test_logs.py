"""The log has one event on each line, whatever the event contains, and never stops its program."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import TextIO, cast

import pytest

from jobqueue import logs
from tests.support.paths import ROOT


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """A stream with everything that is logged during the test."""
    stream = io.StringIO()
    logs.configure(stream)
    yield stream
    logs.configure(cast(TextIO, sys.__stderr__))


def test_an_event_is_one_line_however_hostile_its_values_are(written: io.StringIO) -> None:
    logs.logger().info("claim", job_id="a\r\nlevel=error event=forged \x1b[31mred\x1b[0m\x85")
    (line,) = written.getvalue().splitlines()
    assert line.isprintable()
    assert "event=claim" in line


def test_an_exception_is_logged_on_the_line_of_its_event(written: io.StringIO) -> None:
    try:
        raise RuntimeError("broken\nin two")
    except RuntimeError:
        logs.logger().exception("crash")
    assert len(written.getvalue().splitlines()) == 1
    assert "RuntimeError" in written.getvalue()


def test_a_character_that_cannot_be_encoded_is_escaped() -> None:
    reads, writes = os.pipe()
    with open(reads) as log, open(writes, "w") as stream:
        logs.configure(stream)
        logs.logger().info("claim", job_id="\ud800")
        logs.configure(cast(TextIO, sys.__stderr__))
        assert log.readline().rstrip("\n").endswith("event=claim job_id=\\ud800")


@pytest.mark.parametrize("script", ["exec 2>&-", "exec 2>/dev/full", "exec 2> >(exec true); sleep 1"])
def test_a_line_that_cannot_be_written_is_dropped_and_stops_nothing(script: str) -> None:
    program = (
        "import sys; from jobqueue import logs\n"
        "logs.configure(sys.stderr)\n"
        "for number in range(3): logs.logger().info('claim', padding='x' * 10_000)\n"
        "print('done')"
    )
    command = ["/bin/bash", "-c", f'{script}; exec "$@"', "bash", sys.executable, "-c", program]
    ended = subprocess.run(command, check=False, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert (ended.returncode, ended.stdout) == (0, "done\n")

"""The log: one event per line, whatever is in it."""

from __future__ import annotations

import pytest

from jobqueue import logs


def test_an_event_is_one_line_however_hostile_its_values_are(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logs.logger().info("claim", job_id="a\r\nlevel=error event=forged \x1b[31mred\x1b[0m\x85")
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert written.rstrip("\n").isprintable()
    assert "event=claim" in written


def test_an_exception_is_told_on_the_line_of_its_event(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    try:
        raise RuntimeError("broken\nin two")
    except RuntimeError:
        logs.logger().exception("crash")
    assert capsys.readouterr().err.count("\n") == 1

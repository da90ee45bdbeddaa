"""The log has one event on each line, whatever the event contains, and never stops its program."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO, cast

import pytest

from jobqueue import logs
from jobqueue.log_stream import ATOMIC_BYTES
from tests.support.paths import ROOT


def test_an_event_is_one_line_however_hostile_its_values_are(written: io.StringIO) -> None:
    logs.logger().info("claim", job_id="a\r\nlevel=error event=forged \x1b[31mred\x1b[0m\x85")
    (line,) = written.getvalue().splitlines()
    assert line.isprintable()
    assert "event=claim" in line


def test_a_line_that_is_put_off_says_when_it_happened_and_comes_before_the_next_one(
    written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0, 90])
    monkeypatch.setattr("time.time", lambda: next(clock))
    logs.later("claim", job_id="first")
    assert written.getvalue() == ""
    logs.logger().info("ended", job_id="first")
    assert written.getvalue().splitlines() == [
        "timestamp=1970-01-01T00:00:00Z level=info event=claim job_id=first",
        "timestamp=1970-01-01T00:01:30Z level=info event=ended job_id=first",
    ]


def test_lines_that_are_put_off_are_written_once_by_a_flush(written: io.StringIO) -> None:
    request = logs.request_id.set("of the request")
    logs.later("claim", job_id="a")
    logs.request_id.reset(request)
    logs.later("start", job_id="a\r\nevent=forged")
    logs.flush()
    logs.flush()
    claim, start = written.getvalue().splitlines()
    assert claim.endswith('event=claim job_id=a request_id="of the request"')
    assert start.endswith(r'event=start job_id="a\r\nevent=forged"')


HIDING = "\u202e\u2066\u200b\u00ad\ufeff\u2028\u0085\x1b\u3164\ufe0f\U000e0041\u00a0"
"""Characters that break a line, turn it round or are not seen."""


@pytest.mark.parametrize("wrap", [str, Path, ValueError, lambda text: [text], lambda text: {text: 1}])
@pytest.mark.parametrize("character", HIDING)
def test_a_character_that_hides_something_is_shown_as_an_escape(
    written: io.StringIO, character: str, wrap: Callable[[str], object]
) -> None:
    logs.logger().info("claim", reason=wrap(f"a{character}b"))
    assert character not in written.getvalue()
    assert re.search(r"a\\+(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})b", written.getvalue())


def test_letters_of_every_script_are_shown_as_they_are(written: io.StringIO) -> None:
    logs.logger().info("claim", reason="caf\u00e9 \u65e5\u672c \u05d0\u05d1 \U0001f600")
    assert 'reason="caf\u00e9 \u65e5\u672c \u05d0\u05d1 \U0001f600"' in written.getvalue()


def test_a_value_cannot_end_its_quotes(written: io.StringIO) -> None:
    logs.logger().info("claim", reason='a \\" event=forged', flag=True, nothing=None)
    assert written.getvalue().endswith(r'event=claim reason="a \\\" event=forged" flag=true nothing=' + "\n")


def test_a_line_that_a_pipe_would_not_take_whole_loses_the_middle_of_its_longest_value(written: io.StringIO) -> None:
    logs.logger().info("claim", job_id="name", reason="first " + "\u00fc\n" * 5000 + " last", other="y" * 3000)
    line = written.getvalue()
    assert len(line.encode()) <= ATOMIC_BYTES
    assert "job_id=name" in line
    assert "first" in line
    assert " last" in line
    assert "10011 characters" in line


@pytest.mark.parametrize(
    "text",
    [
        "HTTPConnectionPool(host='h', port=80): Max retries exceeded with url: /a?token=canary (Caused by x)",
        "Error connecting to redis://user:can'canary@host:6379/0: refused",
        "cannot reach 'https://host/a?X-Amz-Signature=canary&b=c#canary'",
        "ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'default' 'canary'",
        "proxy user:canary@proxy.example:3128 refused",
        "Authorization: Basic canary",
    ],
)
def test_the_secrets_of_a_url_in_an_exception_are_not_logged(written: io.StringIO, text: str) -> None:
    logs.logger().error("redis_away", reason=ValueError(text))
    assert "event=redis_away" in written.getvalue()
    assert "canary" not in written.getvalue().replace("can'canary", "canary")


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


@pytest.mark.parametrize(
    "statement",
    [
        "raise ValueError('a\\nevent=forged')",
        "thread = threading.Thread(target=int, args=['a\\nevent=forged']); thread.start(); thread.join()",
        "warnings.warn('a\\nevent=forged')",
        "logging.getLogger('some.library').warning('%s', 'a\\nevent=forged')",
        "logging.getLogger('some.library').warning('%d a\\nevent=forged', 'b')",
        "sys.stderr.write('a\\revent=forged\\n')",
    ],
)
def test_everything_that_a_process_prints_about_itself_is_one_line(statement: str) -> None:
    program = f"import logging, sys, threading, warnings; from jobqueue import logs; logs.install(); {statement}"
    ended = subprocess.run([sys.executable, "-c", program], check=False, cwd=ROOT, capture_output=True, text=True)
    (line,) = ended.stderr.splitlines()
    assert line.isprintable()
    assert "event=forged" in line
    assert not line.startswith("event=forged")

"""`LOG_FORMAT`: whatever an event contains, it is one line that its reader can take apart."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO, cast

import pytest

from jobqueue import logs, settings
from jobqueue.log_stream import ATOMIC_BYTES
from jobqueue.logs.formats import FORMATS
from jobqueue.web.config import ServerSettings
from jobqueue.worker.config import WorkerSettings
from tests.support.paths import ROOT

HOSTILE = [
    "a\r\nlevel=error event=forged", 'a", "event": "forged', 'a"}\n{"event": "forged"}', "\x1b[31mred\x1b[0m", "\x00",
    "\u2028\u2029\x85", "\u202egnp.exe", "\ud800", "\udfff\ud800", "a\\", '\\"', "\\u000a", "\U0001f600" * 5000,
    "\x00" * 50_000, "x" * 100_000, "\u00fc\n" * 5000, "=" * 5000, '"' * 5000, "\x7f\x9b31m", "{}", "null", "NaN", "",
]  # fmt: skip


@pytest.fixture(params=FORMATS)
def write(request: pytest.FixtureRequest) -> Iterator[Callable[..., str]]:
    """What logs an event in a format and returns all that was written."""
    stream = io.StringIO()
    logs.configure(stream)
    logs.choose(request.param)

    def log(**values: Any) -> str:
        logs.logger().info("claim", **values)
        return stream.getvalue()

    yield log
    logs.choose("logfmt")
    logs.configure(cast(TextIO, sys.__stderr__))


@pytest.fixture
def read(write: Callable[..., str]) -> Callable[..., dict[str, Any]]:
    """What logs an event as JSON and returns it as a reader gets it."""
    logs.choose("json")
    return lambda **values: cast("dict[str, Any]", json.loads(write(**values)))


def test_both_programs_take_the_formats_that_there_are() -> None:
    for each in (ServerSettings, WorkerSettings):
        setting = settings.declared(each)["log_format"]
        assert [setting.read({}), *map(setting.parse, FORMATS)] == ["logfmt", *FORMATS]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value)[:20])
def test_no_value_breaks_a_line(write: Callable[..., str], value: str) -> None:
    written = write(job_id=value, reason=ValueError(value), more=[value], **{"a name": value})
    assert written.count("\n") == 1
    assert written.endswith("\n")
    assert written[:-1].isprintable()
    assert len(written.encode()) <= ATOMIC_BYTES


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value)[:20])
def test_no_value_breaks_an_object(read: Callable[..., dict[str, Any]], value: str) -> None:
    event = read(job_id=value, reason=ValueError(value), more={value: value})
    assert [*event] == ["timestamp", "level", "event", "job_id", "reason", "more"]
    assert (event["level"], event["event"]) == ("info", "claim")
    assert all(each.isprintable() for each in event.values())


def test_values_have_types_and_text_stays_text(read: Callable[..., dict[str, Any]]) -> None:
    event = read(
        count=3, share=0.5, done=True, none=None, text="caf\u00e9 \u65e5 \U0001f600 = x", path=ROOT, number="3"
    )
    assert [event[name] for name in ("count", "share", "done", "none", "number")] == [3, 0.5, True, None, "3"]
    assert (event["text"], event["path"]) == ("caf\u00e9 \u65e5 \U0001f600 = x", str(ROOT))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -(10**400), 2**53 + 1], ids=lambda _: "")
def test_a_number_that_json_does_not_have_is_text(read: Callable[..., dict[str, Any]], number: float) -> None:
    assert isinstance(read(number=number)["number"], str)


def test_an_event_of_very_many_values_loses_them_before_it_is_cut(read: Callable[..., dict[str, Any]]) -> None:
    event = read(**{f"name{number}": number for number in range(2000)})
    assert [*event] == ["timestamp", "level", "event"]


def test_an_exception_is_a_value(read: Callable[..., dict[str, Any]]) -> None:
    try:
        raise RuntimeError("broken\nin two")
    except RuntimeError:
        assert "broken\\nin two" in read(exc_info=True)["exception"]


def test_a_secret_of_a_url_is_hidden_in_every_format(write: Callable[..., str]) -> None:
    written = write(reason="redis://user:canary@host/0?canary=1#canary", url="https://host/a?token=canary")
    assert "canary" not in written
    assert "//host/" in written


@pytest.mark.parametrize(
    "statement",
    [
        "raise ValueError('a\\nevent=forged')",
        "thread = threading.Thread(target=int, args=['a\\nb']); thread.start(); thread.join()",
        "warnings.warn('a\\nb')",
        "logging.getLogger('some.library').warning('%s', 'a\\nb')",
        'sys.stderr.write(\'a\\r\\n\\n{"event": "forged"}\\nunfinished\')',
        "sys.stderr.write('unfinished'); logs.logger().info('claim'); sys.stderr.write(' line\\n')",
        "print('x' * 100_000, file=sys.stderr)",
        "traceback.print_stack()",
    ],
)
def test_everything_that_a_process_prints_about_itself_is_an_object_on_each_line(statement: str) -> None:
    start = "import logging, sys, threading, traceback, warnings; from jobqueue import logs; logs.install()"
    command = [sys.executable, "-c", f"{start}; logs.choose('json'); {statement}"]
    lines = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True).stderr.splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert events
    assert {*events} <= {"crash", "python_warning", "library", "printed", "claim"}

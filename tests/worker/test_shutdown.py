"""The first signal asks the worker to stop, the second to hurry; none of them ends the process."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobqueue.worker.shutdown import Shutdown
from tests.support.child_script import line_from, running
from tests.support.programs import SHELL

BEGIN = """
import threading
from jobqueue import logs
from jobqueue.worker.shutdown import Shutdown
logs.configure(sys.stderr)
shutdown = Shutdown()
shutdown.listen()
print("listening", flush=True)
while not shutdown.requested_within(600):
    pass
print("asked", shutdown.requested, flush=True)
"""


@contextmanager
def listening(end: str, stderr: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[str]]:
    """A process that waits until it is asked to stop, and then does what `end` says."""
    with running(BEGIN + end, stderr=stderr) as process:
        assert line_from(process) == "listening\n"
        yield process


def test_a_new_worker_is_not_asked_to_stop() -> None:
    shutdown = Shutdown()
    assert not shutdown.requested
    assert not shutdown.requested_within(0.001)


def test_a_wait_after_a_request_ends_at_once() -> None:
    shutdown = Shutdown()
    shutdown.request()
    assert shutdown.requested
    assert shutdown.requested_within(600)


def test_a_request_ends_a_wait() -> None:
    shutdown = Shutdown()
    begun = time.monotonic()
    threading.Timer(0.05, shutdown.request).start()
    assert shutdown.requested_within(600)
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_first_signal_asks_the_worker_to_stop(number: signal.Signals) -> None:
    with listening("sys.exit(7)") as process:
        process.send_signal(number)
        assert line_from(process) == "asked True\n"
        assert process.wait(10) == 7


WAIT_FOR_HURRY = """
shutdown._hurried.wait()
print("hurried", shutdown.seconds_left(600), flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGHUP])
def test_the_second_signal_makes_the_worker_hurry_and_no_further_one_ends_it(
    first: signal.Signals, second: signal.Signals
) -> None:
    with listening(WAIT_FOR_HURRY) as process:
        process.send_signal(first)
        assert line_from(process) == "asked True\n"
        process.send_signal(second)
        assert line_from(process) == "hurried 0.0\n"
        process.send_signal(first)
        process.send_signal(second)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0


def test_a_worker_started_by_nohup_outlives_its_terminal() -> None:
    ignoring = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    with running(ignoring + BEGIN, stderr=subprocess.PIPE) as process:
        assert line_from(process) == "listening\n"
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        assert "event=stopping signal=SIGTERM" in process.stderr.readline()


def test_one_signal_does_not_make_the_worker_hurry() -> None:
    with listening("print(shutdown.hurried, flush=True)") as process:
        process.send_signal(signal.SIGTERM)
        assert line_from(process) == "asked True\n"
        assert line_from(process) == "False\n"


def test_both_signals_to_a_worker_are_logged() -> None:
    with listening(WAIT_FOR_HURRY, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.send_signal(signal.SIGTERM)
        assert "event=stopping signal=SIGTERM" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert "event=hurrying signal=SIGINT" in process.stderr.readline()


def test_a_second_request_makes_the_worker_hurry() -> None:
    shutdown = Shutdown()
    shutdown.request()
    assert not shutdown.hurried
    shutdown.request()
    assert shutdown.hurried


def test_the_time_that_is_left_runs_from_the_first_request() -> None:
    shutdown = Shutdown()
    before = time.monotonic()
    shutdown.request()
    after = time.monotonic()
    left = shutdown.seconds_left(600)
    assert before + 600 - time.monotonic() <= left <= after + 600 - after
    assert shutdown.seconds_left(0) == 0
    assert not threading.Event().wait(0.05)
    assert shutdown.seconds_left(600) <= left - 0.05


def test_a_worker_that_hurries_has_no_time_left_to_drain() -> None:
    shutdown = Shutdown()
    shutdown.request()
    shutdown.request()
    assert shutdown.seconds_left(600) == 0


def test_a_program_starts_with_no_signal_blocked(tmp_path: Path) -> None:
    """The worker blocks its signals, and a blocked signal stays blocked in child processes unless they unblock it."""
    program = tmp_path / "program"
    program.write_text(SHELL + "exec grep SigBlk /proc/self/status")
    program.chmod(0o500)
    run = f"""
from jobqueue.worker.supervisor.messages import Launch
from tests.support.slots import open_slot
slot = open_slot()
launch = Launch({str(program)!r}, [], {{"PATH": "/usr/bin:/bin"}}, {str(tmp_path)!r})
print(slot.run(launch, threading.Event()).stdout, flush=True)
slot.close()
"""
    with listening(run) as process:
        process.send_signal(signal.SIGTERM)
        assert line_from(process) == "asked True\n"
        assert line_from(process).split() == ["SigBlk:", "0" * 16]

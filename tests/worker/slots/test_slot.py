"""A place where one program at a time runs: it can be stopped at any moment, and survives its own supervisor."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from jobqueue.worker.slots.slot import Slot, SlotDied
from jobqueue.worker.supervisor.messages import Outcome
from tests.support.processes import alive, children, file_descriptors, state, wait_for_pids, wait_until_gone
from tests.support.programs import FOREVER, SHELL, STOPS_ITSELF, WITH_ORPHANS, Stage
from tests.support.waiting import wait_until

SCRIPT = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from jobqueue.worker.slots.children import Family
from jobqueue.worker.host.hardening import adopt_orphans
from jobqueue.worker.supervisor.messages import Launch
from jobqueue.worker.slots.slot import Slot, SlotDied
program, pids, directory = sys.argv[2:]
adopt_orphans()
slot = Slot(Family())
try:
    slot.run(Launch(program, [pids, "600"], {"PATH": "/usr/bin:/bin"}, directory), threading.Event())
except SlotDied:
    slot.close()
"""


def supervisor_of(slot: Slot) -> int:
    return slot._process.pid


def stopped_when_ready(stage: Stage, run: Future[Outcome], pids: Path, count: int) -> tuple[Outcome, list[int]]:
    """Stop a run as soon as its program is ready; return its outcome and what was started."""
    started = wait_for_pids(pids, count)
    stage.slot.stop()
    return run.result(10), started


@pytest.mark.parametrize(("program", "count"), [(FOREVER, 1), (WITH_ORPHANS, 5)])
def test_stop_ends_a_program_and_all_it_started(stage: Stage, tmp_path: Path, program: str, count: int) -> None:
    run = stage.begin(program, tmp_path / "pids", "600")
    outcome, pids = stopped_when_ready(stage, run, tmp_path / "pids", count)
    assert outcome.stopped
    assert not any(map(alive, pids))


def test_stop_ends_a_program_that_stopped_itself(stage: Stage, tmp_path: Path) -> None:
    run = stage.begin(STOPS_ITSELF, tmp_path / "pids")
    (pid,) = wait_for_pids(tmp_path / "pids", 1)
    wait_until("the program is stopped", lambda: state(pid) == "T")
    stage.slot.stop()
    assert run.result(10).stopped
    assert not alive(pid)


def test_what_was_said_before_a_stop_is_kept(stage: Stage, tmp_path: Path) -> None:
    run = stage.begin(SHELL + "echo said; echo $$ >> $1; sleep 600", tmp_path / "pids")
    outcome, _ = stopped_when_ready(stage, run, tmp_path / "pids", 1)
    assert outcome.stdout == "said\n"


def test_a_stop_before_any_run_stops_nothing(stage: Stage) -> None:
    stage.slot.stop()
    assert stage.run(SHELL + "echo ran").stdout == "ran\n"


def test_a_stop_after_a_run_does_not_stop_the_next(stage: Stage) -> None:
    stage.run(SHELL + "echo ran")
    stage.slot.stop()
    outcome = stage.run(SHELL + "echo ran again")
    assert (outcome.stdout, outcome.stopped) == ("ran again\n", False)


def test_two_stops_are_one(stage: Stage, tmp_path: Path) -> None:
    run = stage.begin(FOREVER, tmp_path / "pids")
    wait_for_pids(tmp_path / "pids", 1)
    stage.slot.stop()
    stage.slot.stop()
    assert run.result(10).stopped
    assert not stage.run(SHELL + "sleep 0.05").stopped


def test_what_is_stopped_before_it_runs_never_runs(stage: Stage, tmp_path: Path) -> None:
    stopped = threading.Event()
    stopped.set()
    launch = stage.launch(SHELL + 'touch "$1"', tmp_path / "touched")
    assert stage.slot.run(launch, stopped) == Outcome(stopped=True)
    assert not (tmp_path / "touched").exists()


def test_a_stop_at_any_moment_stops_that_run_or_none(stage: Stage) -> None:
    randomness = random.Random(1)
    for _ in range(50):
        timer = threading.Timer(randomness.uniform(0, 0.02), stage.slot.stop)
        timer.start()
        outcome = stage.run(SHELL + "exec sleep 0.01")
        timer.join()
        assert outcome.stopped or outcome.exit_code == 0
    assert not stage.run(SHELL + "exit 0").stopped


def test_a_stop_just_after_the_start_is_heard(stage: Stage) -> None:
    """A busy machine is played by a supervisor that does not get to run for a moment."""
    os.kill(supervisor_of(stage.slot), signal.SIGSTOP)
    run = stage.begin(SHELL + "exec sleep 2")
    wait_until("the launch is sent", lambda: stage.slot._running is not None)
    stage.slot.stop()
    os.kill(supervisor_of(stage.slot), signal.SIGCONT)
    assert run.result(10).stopped


def test_the_program_dies_with_a_killed_supervisor_and_the_next_one_runs(stage: Stage, tmp_path: Path) -> None:
    run = stage.begin(FOREVER, tmp_path / "pids")
    pids = wait_for_pids(tmp_path / "pids", 1)
    os.kill(supervisor_of(stage.slot), signal.SIGKILL)
    with pytest.raises(SlotDied):
        run.result(10)
    wait_until_gone(pids)
    assert stage.run(SHELL + "echo next").stdout == "next\n"


def test_all_that_the_program_started_dies_with_a_killed_supervisor(stage: Stage, tmp_path: Path) -> None:
    """In a process of its own: it becomes the parent of every orphan, and kills them all."""
    with working(stage, tmp_path / "pids") as (worker, pids):
        os.kill(children(worker.pid)[0], signal.SIGKILL)
        wait_until_gone(pids)
        assert worker.wait(10) == 0


def test_a_program_that_kills_its_supervisor_harms_nobody_else(stage: Stage) -> None:
    with pytest.raises(SlotDied):
        stage.run(SHELL + "kill -9 $PPID; exec sleep 60")
    assert stage.run(SHELL + "echo next").stdout == "next\n"


def test_everything_dies_with_a_killed_worker(stage: Stage, tmp_path: Path) -> None:
    with working(stage, tmp_path / "pids") as (worker, pids):
        everybody = pids + children(worker.pid)
        worker.kill()
        wait_until_gone(everybody)
    assert len(everybody) == 6


@contextmanager
def working(stage: Stage, pids: Path) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """A process that runs WITH_ORPHANS in a slot as a worker does, and all it has started; 0 when the slot died."""
    launch = stage.launch(WITH_ORPHANS)
    root = str(Path(__file__).parents[3])
    command = [sys.executable, "-c", SCRIPT, root, launch.program, str(pids), launch.directory]
    with subprocess.Popen(command) as worker:
        yield worker, wait_for_pids(pids, 5)


def test_closing_ends_the_supervisor() -> None:
    slot = Slot()
    pid = supervisor_of(slot)
    slot.close()
    assert not alive(pid)


def test_many_runs_leave_nothing_behind(stage: Stage) -> None:
    launch = stage.launch(SHELL + "sleep 600 & echo ran")
    stage.slot.run(launch, threading.Event())
    ours, theirs = file_descriptors(os.getpid()), 4  # there: standard input, output and error, and the socket
    for _ in range(200):
        assert stage.slot.run(launch, threading.Event()).stdout == "ran\n"
    assert file_descriptors(os.getpid()) == ours
    wait_until("the last outputs are closed there", lambda: file_descriptors(supervisor_of(stage.slot)) == theirs)
    assert children(supervisor_of(stage.slot)) == []
    assert os.listdir(launch.directory) == []


def test_a_supervisor_that_died_idle_is_replaced(stage: Stage) -> None:
    os.kill(supervisor_of(stage.slot), signal.SIGKILL)
    wait_until("it is dead", lambda: not alive(supervisor_of(stage.slot)))
    assert stage.run(SHELL + "echo next").stdout == "next\n"


def test_a_run_returns_soon_after_the_program_ended(stage: Stage) -> None:
    begun = time.monotonic()
    stage.run(SHELL + "(sleep 600 &); echo done")
    assert time.monotonic() - begun < 20


def test_a_supervisor_that_its_program_stopped_goes_with_a_killed_worker(stage: Stage, tmp_path: Path) -> None:
    with working(stage, tmp_path / "pids") as (worker, pids):
        everybody = pids + children(worker.pid)
        os.kill(children(worker.pid)[0], signal.SIGSTOP)
        worker.kill()
        wait_until_gone(everybody)


@contextmanager
def stopped_again_and_again(pid: int) -> Iterator[None]:
    """As a job does that means it: a process that has just been continued is stopped."""
    over = threading.Event()

    def stop() -> None:
        with suppress(ProcessLookupError):
            while not over.wait(0.001):
                os.kill(pid, signal.SIGSTOP)

    thread = threading.Thread(target=stop)
    thread.start()
    yield
    over.set()
    thread.join()


def test_a_supervisor_that_was_stopped_idle_is_continued(stage: Stage) -> None:
    os.kill(supervisor_of(stage.slot), signal.SIGSTOP)
    assert stage.run(SHELL + "echo ran", "x" * 100_000, "x" * 100_000, "x" * 100_000).stdout == "ran\n"


def test_a_program_that_stops_its_supervisor_and_ends_has_ended(stage: Stage) -> None:
    assert stage.run(SHELL + "kill -STOP $PPID; echo ran").stdout == "ran\n"


def test_one_that_takes_nothing_it_is_told_is_killed_and_the_next_one_runs(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobqueue.worker.slots.slot.TAKING_SECONDS", 0.5)
    monkeypatch.setattr("jobqueue.worker.slots.slot.LOOK_UP_MS", 100)
    supervisor = supervisor_of(stage.slot)
    with stopped_again_and_again(supervisor), pytest.raises(SlotDied) as died:
        stage.run(SHELL + "echo ran", *["x" * 100_000] * 20)
    assert not died.value.begun
    assert not alive(supervisor)
    assert stage.run(SHELL + "echo next").stdout == "next\n"


def test_one_that_is_stopped_again_and_again_is_killed_and_the_next_one_runs(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobqueue.worker.slots.slot.LOOK_UP_MS", 20)
    supervisor = supervisor_of(stage.slot)
    with stopped_again_and_again(supervisor), pytest.raises(SlotDied):
        stage.run(SHELL + "echo ran")
    assert not alive(supervisor)
    assert stage.run(SHELL + "echo next").stdout == "next\n"


def test_a_stop_does_not_wait_for_a_supervisor_that_takes_nothing(stage: Stage, tmp_path: Path) -> None:
    """Whoever asks for it has others to ask as well."""
    with stopped_again_and_again(supervisor_of(stage.slot)):
        run = stage.begin(SHELL + "echo ran", *["x" * 100_000] * 20)
        wait_until("the launch is being sent", lambda: stage.slot._running is not None)
        begun = time.monotonic()
        stage.slot.stop()
        stage.slot.hang_up()
        assert time.monotonic() - begun < 5
        with pytest.raises(SlotDied):
            run.result(60)


def test_one_that_cannot_be_replaced_at_once_is_still_told_of_as_dead(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a job that kills its supervisors would be given back uncounted where processes are few."""

    def refuse() -> None:
        monkeypatch.undo()
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(stage.slot, "_start", refuse)
    with pytest.raises(SlotDied) as died:
        stage.run(SHELL + "kill -9 $PPID; exec sleep 60")
    assert died.value.begun
    assert stage.run(SHELL + "echo next").stdout == "next\n"

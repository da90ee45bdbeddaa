"""A slot runs one program at a time. It can be stopped at any moment, and survives the death of its supervisor."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from jobqueue.worker.slots.children import Children
from jobqueue.worker.slots.slot import SupervisorDied
from jobqueue.worker.supervisor.channel import Channel
from jobqueue.worker.supervisor.messages import Outcome
from tests.support.child_script import command
from tests.support.processes import alive, children, file_descriptors, state, wait_for_pids, wait_until_gone
from tests.support.programs import FOREVER, SHELL, SUSPENDS_ITSELF, WITH_ORPHANS, Stage
from tests.support.slots import HeldRun, open_slot
from tests.support.waiting import wait_until

WORKER = """
import threading
from jobqueue.worker.isolation import levels
from jobqueue.worker.slots.children import Children
from jobqueue.worker.host.hardening import adopt_orphans
from jobqueue.worker.slots.slot import Slot, SupervisorDied
from jobqueue.worker.supervisor.messages import Launch
program, pids, directory = sys.argv[1:]
adopt_orphans()
slot = Slot(Children(), levels.make("none", ()), 4096)
try:
    slot.run(Launch(program, [pids, "600"], {"PATH": "/usr/bin:/bin"}, directory), threading.Event())
except SupervisorDied:
    slot.close()
"""


def stopped_when_ready(stage: Stage, run: Future[Outcome], pids: Path, count: int) -> tuple[Outcome, list[int]]:
    """Stop a run as soon as its program is ready; return its outcome and the processes that it started."""
    started = wait_for_pids(pids, count)
    stage.slot.stop()
    return run.result(10), started


@pytest.mark.parametrize(("program", "count"), [(FOREVER, 1), (WITH_ORPHANS, 5)])
def test_a_stop_ends_a_program_and_all_it_started(stage: Stage, tmp_path: Path, program: str, count: int) -> None:
    run = stage.begin(program, tmp_path / "pids", "600")
    outcome, pids = stopped_when_ready(stage, run, tmp_path / "pids", count)
    assert outcome.stopped
    assert not any(map(alive, pids))


def test_a_stop_ends_a_program_that_suspended_itself(stage: Stage, tmp_path: Path) -> None:
    run = stage.begin(SUSPENDS_ITSELF, tmp_path / "pids")
    (pid,) = wait_for_pids(tmp_path / "pids", 1)
    wait_until("the program is suspended", lambda: state(pid) == "T")
    stage.slot.stop()
    assert run.result(10).stopped
    assert not alive(pid)


def test_output_written_before_a_stop_is_kept(stage: Stage, tmp_path: Path) -> None:
    run = stage.begin(SHELL + "echo said; echo $$ >> $1; sleep 600", tmp_path / "pids")
    outcome, _ = stopped_when_ready(stage, run, tmp_path / "pids", 1)
    assert outcome.stdout == "said\n"


def test_a_stop_before_any_run_has_no_effect(stage: Stage) -> None:
    stage.slot.stop()
    assert stage.run(SHELL + "echo ran").stdout == "ran\n"


def test_a_stop_after_a_run_does_not_stop_the_next(stage: Stage) -> None:
    stage.run(SHELL + "echo ran")
    stage.slot.stop()
    outcome = stage.run(SHELL + "echo ran again")
    assert (outcome.stdout, outcome.stopped) == ("ran again\n", False)


def test_a_second_stop_does_not_stop_the_next_run(stage: Stage, tmp_path: Path) -> None:
    run = stage.begin(FOREVER, tmp_path / "pids")
    wait_for_pids(tmp_path / "pids", 1)
    stage.slot.stop()
    stage.slot.stop()
    assert run.result(10).stopped
    assert not stage.run(SHELL + "sleep 0.05").stopped


def test_a_run_that_is_stopped_before_it_begins_never_begins(stage: Stage, tmp_path: Path) -> None:
    stopped = threading.Event()
    stopped.set()
    launch = stage.launch(SHELL + 'touch "$1"', tmp_path / "touched")
    assert stage.slot.run(launch, stopped) == Outcome(stopped=True)
    assert not (tmp_path / "touched").exists()


def test_a_stop_at_any_moment_stops_the_current_run_or_none(stage: Stage) -> None:
    randomness = random.Random(1)
    for _ in range(50):
        timer = threading.Timer(randomness.uniform(0, 0.02), stage.slot.stop)
        timer.start()
        outcome = stage.run(SHELL + "exec sleep 0.01")
        timer.join()
        assert outcome.stopped or outcome.exit_code == 0
    assert not stage.run(SHELL + "exit 0").stopped


def test_a_stop_just_after_the_start_stops_the_program(stage: Stage) -> None:
    """A suspended supervisor stands for a busy host, where it does not get to run for a moment."""
    os.kill(stage.slot.supervisor_pid, signal.SIGSTOP)
    run = stage.begin(SHELL + "exec sleep 2")
    stage.slot.stop()
    os.kill(stage.slot.supervisor_pid, signal.SIGCONT)
    assert run.result(10).stopped


def test_the_program_dies_with_a_killed_supervisor_and_the_next_one_runs(stage: Stage, tmp_path: Path) -> None:
    run = stage.begin(FOREVER, tmp_path / "pids")
    pids = wait_for_pids(tmp_path / "pids", 1)
    os.kill(stage.slot.supervisor_pid, signal.SIGKILL)
    with pytest.raises(SupervisorDied):
        run.result(10)
    wait_until_gone(pids)
    assert stage.run(SHELL + "echo next").stdout == "next\n"


def test_everything_that_the_program_started_dies_with_a_killed_supervisor(stage: Stage, tmp_path: Path) -> None:
    """In a process of its own, which becomes the parent of every orphan and kills them all."""
    with working(stage, tmp_path / "pids") as (worker, pids):
        os.kill(children(worker.pid)[0], signal.SIGKILL)
        wait_until_gone(pids)
        assert worker.wait(10) == 0


def test_a_program_that_kills_its_supervisor_harms_nobody_else(stage: Stage) -> None:
    with pytest.raises(SupervisorDied):
        stage.run(SHELL + "kill -9 $PPID; exec sleep 60")
    assert stage.run(SHELL + "echo next").stdout == "next\n"


def test_every_process_of_a_slot_dies_with_a_killed_worker(stage: Stage, tmp_path: Path) -> None:
    with working(stage, tmp_path / "pids") as (worker, pids):
        everybody = pids + children(worker.pid)
        worker.kill()
        wait_until_gone(everybody)
    assert len(everybody) == 6


@contextmanager
def working(stage: Stage, pids: Path) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """A process that runs WITH_ORPHANS in a slot, as a worker does, and the program's processes. It exits with code 0
    when the supervisor died.
    """
    launch = stage.launch(WITH_ORPHANS)
    with subprocess.Popen(command(WORKER, launch.program, pids, launch.directory)) as worker:
        yield worker, wait_for_pids(pids, 5)


def test_closing_a_slot_ends_its_supervisor() -> None:
    slot = open_slot()
    pid = slot.supervisor_pid
    slot.close()
    assert not alive(pid)


def test_closing_ends_a_program_that_runs(stage: Stage, tmp_path: Path) -> None:
    before = file_descriptors(os.getpid())
    with closing(open_slot()) as slot:
        run = Stage(slot, tmp_path).begin(FOREVER, tmp_path / "pids")
        supervised = [slot.supervisor_pid, *wait_for_pids(tmp_path / "pids", 1)]
    with pytest.raises(SupervisorDied) as died:
        run.result(10)
    assert died.value.begun
    assert not any(map(alive, supervised))
    assert slot.supervisor_pid == supervised[0]  # no other has been started
    assert file_descriptors(os.getpid()) == before


def test_a_slot_that_closes_keeps_its_descriptors_until_the_run_has_left(stage: Stage) -> None:
    """The run would otherwise poll a number that the process has given to another file."""
    held = HeldRun()
    run = stage.begin_launch(stage.launch(SHELL + "echo; exec sleep 600"), held)
    held.wait_until_held()
    before, supervisor = file_descriptors(os.getpid()), stage.slot.supervisor_pid
    close = threading.Thread(target=stage.slot.close)
    close.start()
    wait_until_gone([supervisor])
    close.join(0.5)
    assert file_descriptors(os.getpid()) == before
    held.release()
    with pytest.raises(SupervisorDied):
        run.result(20)
    close.join(20)
    assert file_descriptors(os.getpid()) < before


def test_a_closed_slot_runs_nothing(stage: Stage) -> None:
    supervisor = stage.slot.supervisor_pid
    stage.slot.close()
    with pytest.raises(SupervisorDied) as died:
        stage.run(SHELL + "exit 0")
    assert not died.value.begun
    assert stage.slot.supervisor_pid == supervisor


def test_a_supervisor_that_is_started_while_the_slot_closes_ends_at_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, hang_up, hung_up = Children.start, Channel.hang_up, threading.Event()
    close = threading.Thread(target=stage.slot.close, args=(60,))

    def report_hang_up(channel: Channel) -> None:
        hang_up(channel)
        hung_up.set()

    def start_while_closing(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        hung_up.clear()
        close.start()
        assert hung_up.wait(20)
        return start(*arguments, **options)

    monkeypatch.setattr(Channel, "hang_up", report_hang_up)
    monkeypatch.setattr(Children, "start", start_while_closing)
    os.kill(stage.slot.supervisor_pid, signal.SIGKILL)
    wait_until("the supervisor is dead", lambda: not alive(stage.slot.supervisor_pid))
    with pytest.raises(SupervisorDied):
        stage.run(SHELL + "exit 0")
    close.join(20)
    assert not close.is_alive()
    assert not alive(stage.slot.supervisor_pid)


def test_a_run_without_a_descriptor_for_it_fails_before_the_program_starts(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(os, "eventfd", refuse)
        with pytest.raises(OSError, match="open files"):
            stage.run(SHELL + ': >"$1"', tmp_path / "started")
    assert stage.run(SHELL + "echo next").stdout == "next\n"
    assert not (tmp_path / "started").exists()


def test_many_runs_in_a_slot_leave_nothing_behind(stage: Stage) -> None:
    launch = stage.launch(SHELL + "sleep 600 & echo ran")
    stage.slot.run(launch, threading.Event())
    ours, theirs = (
        file_descriptors(os.getpid()),
        7,
    )  # theirs: standard files, the socket, the flag, a pipe that wakes it
    for _ in range(200):
        assert stage.slot.run(launch, threading.Event()).stdout == "ran\n"
    assert file_descriptors(os.getpid()) == ours
    wait_until(
        "the supervisor has closed the last outputs", lambda: file_descriptors(stage.slot.supervisor_pid) == theirs
    )
    assert children(stage.slot.supervisor_pid) == []
    assert os.listdir(launch.directory) == []


def test_a_supervisor_that_died_idle_is_replaced(stage: Stage) -> None:
    os.kill(stage.slot.supervisor_pid, signal.SIGKILL)
    wait_until("the supervisor is dead", lambda: not alive(stage.slot.supervisor_pid))
    assert stage.run(SHELL + "echo next").stdout == "next\n"


def test_a_run_returns_soon_after_the_program_ended(stage: Stage) -> None:
    begun = time.monotonic()
    stage.run(SHELL + "(sleep 600 &); echo done")
    assert time.monotonic() - begun < 20


def test_a_supervisor_that_was_suspended_ends_with_a_killed_worker(stage: Stage, tmp_path: Path) -> None:
    with working(stage, tmp_path / "pids") as (worker, pids):
        everybody = pids + children(worker.pid)
        os.kill(children(worker.pid)[0], signal.SIGSTOP)
        worker.kill()
        wait_until_gone(everybody)


@contextmanager
def suspended_again_and_again(pid: int) -> Iterator[None]:
    """Suspends a process each time that it has been resumed, as a malicious job would."""
    over = threading.Event()

    def stop() -> None:
        with suppress(ProcessLookupError):
            while not over.wait(0.001):
                os.kill(pid, signal.SIGSTOP)

    thread = threading.Thread(target=stop)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)  # so that its slot can be closed without waiting for it


def test_a_supervisor_that_was_suspended_while_idle_is_resumed(stage: Stage) -> None:
    os.kill(stage.slot.supervisor_pid, signal.SIGSTOP)
    assert stage.run(SHELL + "echo ran", "x" * 100_000, "x" * 100_000, "x" * 100_000).stdout == "ran\n"


def test_the_end_of_a_program_that_suspended_its_supervisor_is_reported(stage: Stage) -> None:
    assert stage.run(SHELL + "kill -STOP $PPID; echo ran").stdout == "ran\n"


def test_a_supervisor_that_reads_no_messages_is_killed_and_replaced(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobqueue.worker.slots.run.SENDING_SECONDS", 0.5)
    monkeypatch.setattr("jobqueue.worker.slots.run.POLL_MS", 100)
    supervisor = stage.slot.supervisor_pid
    with suspended_again_and_again(supervisor), pytest.raises(SupervisorDied) as died:
        stage.run(SHELL + "echo ran", *["x" * 100_000] * 20)
    assert not died.value.begun
    assert not alive(supervisor)
    assert stage.run(SHELL + "echo next").stdout == "next\n"


def test_a_program_that_its_supervisor_has_not_begun_is_not_taken_for_the_one_before(stage: Stage) -> None:
    assert stage.run(SHELL + "echo first").stdout == "first\n"
    supervisor = stage.slot.supervisor_pid
    os.kill(supervisor, signal.SIGSTOP)
    run = stage.begin(SHELL + "echo second")
    wait_until("it is asked to run the second", lambda: stage.slot._run is not None)
    os.kill(supervisor, signal.SIGKILL)
    with pytest.raises(SupervisorDied) as died:
        run.result(20)
    assert not died.value.begun


def test_a_supervisor_that_is_suspended_again_and_again_is_killed_and_replaced(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobqueue.worker.slots.run.POLL_MS", 20)
    supervisor = stage.slot.supervisor_pid
    with suspended_again_and_again(supervisor), pytest.raises(SupervisorDied):
        stage.run(SHELL + "echo ran")
    assert not alive(supervisor)
    assert stage.run(SHELL + "echo next").stdout == "next\n"


def test_a_stop_does_not_wait_for_a_supervisor_that_reads_no_messages(stage: Stage) -> None:
    """Whoever stops one slot may have to stop others as well."""
    with suspended_again_and_again(stage.slot.supervisor_pid):
        run = stage.begin(SHELL + "echo ran", *["x" * 100_000] * 20)
        begun = time.monotonic()
        stage.slot.stop()
        stage.slot.hang_up()
        assert time.monotonic() - begun < 5
        with pytest.raises(SupervisorDied):
            run.result(60)


def test_a_slot_whose_supervisor_cannot_be_replaced_at_once_has_died_all_the_same(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a job that kills its supervisors would be released without being counted where processes are scarce."""

    def refuse(*_: object, **__: object) -> None:
        monkeypatch.undo()
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(Children, "start", refuse)
    with pytest.raises(SupervisorDied) as died:
        stage.run(SHELL + "kill -9 $PPID; exec sleep 60")
    assert died.value.begun
    assert stage.run(SHELL + "echo next").stdout == "next\n"

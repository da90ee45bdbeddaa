"""A program that is stopped or reaches its time limit receives SIGTERM first. Until it ends, its output is shown."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobqueue.worker.slots.slot import SupervisorDied
from jobqueue.worker.supervisor.messages import Launch
from tests.support.processes import alive, state, wait_for_pids, wait_until_gone
from tests.support.programs import FOREVER, SHELL, SUSPENDS_ITSELF, Stage
from tests.support.slots import HeldRun
from tests.support.waiting import wait_until


def test_a_stop_with_a_grace_sends_sigterm_first(stage: Stage, tmp_path: Path) -> None:
    trap = SHELL + 'trap "echo asked; exit 7" TERM; echo $$ >> $1; while true; do sleep 0.05; done'
    run = stage.begin(trap, tmp_path / "pids")
    wait_for_pids(tmp_path / "pids", 1)
    stage.slot.stop(60)
    outcome = run.result(20)
    assert (outcome.stdout, outcome.exit_code, outcome.stopped) == ("asked\n", 7, True)


@pytest.mark.parametrize("program", [FOREVER, SUSPENDS_ITSELF])
def test_a_program_that_does_not_end_within_the_grace_is_killed(stage: Stage, tmp_path: Path, program: str) -> None:
    run = stage.begin(program, tmp_path / "pids")
    wait_for_pids(tmp_path / "pids", 1)
    begun = time.monotonic()
    stage.slot.stop(0.3)
    outcome = run.result(20)
    assert outcome.stopped
    assert outcome.measured.signal in ("SIGKILL", "SIGTERM")
    assert time.monotonic() - begun < 10


def test_a_program_that_suspended_itself_is_resumed_to_handle_sigterm(stage: Stage, tmp_path: Path) -> None:
    trap = SHELL + 'trap "echo asked; exit 7" TERM; echo $$ >> $1; kill -STOP $$; sleep 600'
    run = stage.begin(trap, tmp_path / "pids")
    (pid,) = wait_for_pids(tmp_path / "pids", 1)
    wait_until("the program is suspended", lambda: state(pid) == "T")
    stage.slot.stop(60)
    assert run.result(20).stdout == "asked\n"


def test_a_second_stop_shortens_the_grace(stage: Stage, tmp_path: Path) -> None:
    run = stage.begin(FOREVER, tmp_path / "pids")
    wait_for_pids(tmp_path / "pids", 1)
    stage.slot.stop(600)
    stage.slot.stop(0)
    assert run.result(20).measured.signal == "SIGKILL"


def test_a_later_stop_does_not_lengthen_the_grace(stage: Stage) -> None:
    """Both arrive before the thread of the run can send the first."""
    held = HeldRun()
    run = stage.begin_launch(stage.launch(SHELL + "trap '' TERM; echo; while :; do sleep 0.1; done"), held)
    held.wait_until_held()
    stage.slot.stop(0)
    stage.slot.stop(600)
    held.release()
    assert run.result(20).measured.signal == "SIGKILL"


def limited(launch: Launch, timeout_seconds: float, kill_grace_seconds: float = 60) -> Launch:
    return replace(launch, timeout_seconds=timeout_seconds, kill_grace_seconds=kill_grace_seconds)


def test_a_program_that_reaches_its_time_limit_receives_sigterm(stage: Stage) -> None:
    outcome = stage.begin_launch(limited(stage.launch(SHELL + "echo begun; exec sleep 600"), 0.3)).result(20)
    assert (outcome.timed_out, outcome.stopped, outcome.measured.signal) == (True, False, "SIGTERM")
    assert outcome.stdout == "begun\n"


def test_a_program_that_ignores_sigterm_at_its_time_limit_is_killed(stage: Stage, tmp_path: Path) -> None:
    launch = limited(stage.launch(FOREVER, tmp_path / "pids"), 0.5, kill_grace_seconds=0.2)
    outcome = stage.begin_launch(launch).result(20)
    assert (outcome.timed_out, outcome.measured.signal) == (True, "SIGKILL")
    assert not any(map(alive, wait_for_pids(tmp_path / "pids", 1)))


def test_a_program_that_ends_in_time_has_not_timed_out(stage: Stage) -> None:
    assert not stage.begin_launch(limited(stage.launch(SHELL + "exit 3"), 60)).result(20).timed_out


def test_new_output_is_shown_while_the_program_runs(stage: Stage, tmp_path: Path) -> None:
    shown: list[dict[str, Any]] = []
    talk = SHELL + 'echo one; echo two >&2; while [ ! -e "$1" ]; do sleep 0.05; done; echo three'
    run = stage.begin_launch(stage.launch(talk, tmp_path / "go"), shown.append)
    wait_until("both are shown", lambda: len(shown) >= 2, 20)
    (tmp_path / "go").touch()
    assert run.result(20).stdout == "one\nthree\n"
    assert shown[:2] == [{"stdout": (0, "one\n")}, {"stderr": (0, "two\n")}]


def test_a_supervisor_that_receives_sigterm_reports_it_and_stays(stage: Stage, tmp_path: Path) -> None:
    wait = SHELL + 'echo $$ >> $1; while [ ! -e "$2" ]; do sleep 0.05; done; exit 1'
    run = stage.begin(wait, tmp_path / "pids", tmp_path / "go")
    wait_for_pids(tmp_path / "pids", 1)
    os.kill(stage.slot.supervisor_pid, signal.SIGTERM)
    (tmp_path / "go").touch()
    assert run.result(20).supervisor_terminated
    assert not stage.run(SHELL + "exit 1").supervisor_terminated


@pytest.fixture
def overdue_before_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor is overdue soon after its time, and was suspended for so long already when it would be resumed."""
    monkeypatch.setattr("jobqueue.worker.slots.run.OVERDUE_SECONDS", 0.2)
    monkeypatch.setattr("jobqueue.worker.slots.run.POLL_MS", 1000)


@pytest.mark.usefixtures("overdue_before_resumed")
def test_a_suspended_supervisor_is_killed_when_its_program_is_beyond_its_time_limit(stage: Stage) -> None:
    supervisor = stage.slot.supervisor_pid
    os.kill(supervisor, signal.SIGSTOP)
    wait_until("the supervisor is suspended", lambda: state(supervisor) == "T")
    run = stage.begin_launch(limited(stage.launch(SHELL + "exec sleep 600"), 0.5, 0))
    with pytest.raises(SupervisorDied):
        run.result(60)
    assert not alive(supervisor)
    assert stage.run(SHELL + "echo next").stdout == "next\n"


def test_a_supervisor_that_its_program_has_suspended_is_killed_when_it_is_overdue(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr("jobqueue.worker.slots.run.POLL_MS", 600_000)  # so that it is not resumed before the stop
    supervisor = stage.slot.supervisor_pid
    run = stage.begin(SHELL + "echo $$ >> $1; kill -STOP $PPID; exec sleep 600", tmp_path / "pids")
    pids = wait_for_pids(tmp_path / "pids", 1)
    wait_until("the supervisor is suspended", lambda: state(supervisor) == "T")
    request.getfixturevalue("overdue_before_resumed")
    stage.slot.stop()
    with pytest.raises(SupervisorDied):
        run.result(60)
    wait_until_gone(pids)
    assert stage.run(SHELL + "echo next").stdout == "next\n"

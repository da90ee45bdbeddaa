"""The process between worker and job hears both, outlives the one and does not outlive the other."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from jobqueue.output import HALF_BYTES, missing_line
from jobqueue.worker.slots.slot import Slot
from jobqueue.worker.slots.spawn import BOOT, CODE
from jobqueue.worker.supervisor.main import TO_EVERYBODY_SECONDS
from jobqueue.worker.supervisor.messages import Launch
from jobqueue.worker.supervisor.output_file import Outputs
from tests.support.processes import alive, file_descriptors, peak_megabytes, wait_for_pids, wait_until_gone
from tests.support.programs import FOREVER, SHELL, WITH_ORPHANS, Stage
from tests.support.waiting import wait_until


@dataclass
class Supervised:
    """A supervisor, and the worker's end of its socket."""

    process: subprocess.Popen[bytes]
    control: socket.socket

    def send(self, *messages: dict[str, Any]) -> None:
        """Send messages in one piece."""
        self.control.sendall(b"".join(json.dumps(message).encode() + b"\n" for message in messages))

    def outcomes(self, count: int) -> list[dict[str, Any]]:
        """Return that many outcomes, each with both outputs in it, and nothing that is told in between."""
        found: list[dict[str, Any]] = []
        unfinished, files = b"", list[int]()
        while len(found) < count:
            received, more, _, _ = socket.recv_fds(self.control, 65536, 8)
            assert received
            files += more
            *lines, unfinished = (unfinished + received).split(b"\n")
            for message in filter(lambda message: "outcome" in message, map(json.loads, lines)):
                outputs = Outputs(files.pop(0)).read() if message["outputs"] else {}
                found.append(message["outcome"] | outputs)
        return found


@pytest.fixture
def patience() -> float:
    """How long a supervisor waits for a signal to everybody, in seconds."""
    return TO_EVERYBODY_SECONDS


@pytest.fixture
def supervised(patience: float) -> Iterator[Supervised]:
    ours, theirs = socket.socketpair()
    patient = BOOT.replace("\nmain.main", f"\nmain.TO_EVERYBODY_SECONDS = {patience}\nmain.main")
    assert patient != BOOT
    with ours:
        with theirs:
            command = [
                sys.executable,
                "-I",
                "-c",
                patient,
                str(CODE),
                str(theirs.fileno()),
                '{"level": "none"}',
                "4096",
            ]
            process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env={"PATH": os.defpath})
        with process:
            ours.settimeout(20)
            yield Supervised(process, ours)
            ours.close()


BEGUN = b'{"begun": true}\n'
STOP = {"stop": {"grace_seconds": 0}}


def launching(launch: Launch) -> dict[str, Any]:
    return {"launch": asdict(launch)}


def test_a_launch_is_answered_with_its_outcome(supervised: Supervised, stage: Stage) -> None:
    supervised.send(launching(stage.launch(SHELL + "echo out; echo err >&2; exit 3")))
    (outcome,) = supervised.outcomes(1)
    assert (outcome["exit_code"], outcome["measured"]["signal"]) == (3, None)
    assert (outcome["stdout"], outcome["stderr"]) == ("out\n", "err\n")
    assert outcome["measured"]["stdout_bytes"] == 4
    assert not any(
        outcome[name] for name in ("stopped", "timed_out", "start_failure", "supervisor_terminated", "oom_killed")
    )


def test_launches_that_come_together_are_answered_in_turn(supervised: Supervised, stage: Stage) -> None:
    supervised.send(*(launching(stage.launch(SHELL + f"echo {number}")) for number in range(3)))
    assert [outcome["stdout"] for outcome in supervised.outcomes(3)] == ["0\n", "1\n", "2\n"]


def test_a_message_may_come_in_pieces(supervised: Supervised, stage: Stage) -> None:
    for byte in json.dumps(launching(stage.launch(SHELL + "echo whole"))).encode() + b"\n":
        supervised.control.sendall(bytes([byte]))
    assert supervised.outcomes(1)[0]["stdout"] == "whole\n"


def test_a_large_message_arrives(supervised: Supervised, stage: Stage) -> None:
    arguments = ["x" * 100_000] * 15
    supervised.send(launching(stage.launch(SHELL + "echo $#", *arguments)))
    assert supervised.outcomes(1)[0]["stdout"] == "15\n"


def test_a_stop_while_nothing_runs_stops_nothing(supervised: Supervised, stage: Stage) -> None:
    supervised.send(STOP)
    supervised.send(STOP, launching(stage.launch(SHELL + "echo went on")))
    outcome = supervised.outcomes(1)[0]
    assert (outcome["stdout"], outcome["stopped"]) == ("went on\n", False)


def test_a_stop_that_comes_together_with_its_launch_stops_it(supervised: Supervised, stage: Stage) -> None:
    supervised.send(launching(stage.launch(SHELL + "exec sleep 2")), STOP)
    assert supervised.outcomes(1)[0]["stopped"]


def test_it_ends_when_the_worker_is_gone(supervised: Supervised) -> None:
    supervised.control.close()
    assert supervised.process.wait(10) == 0


def test_the_job_and_all_it_started_end_when_the_worker_is_gone(
    supervised: Supervised, stage: Stage, tmp_path: Path
) -> None:
    supervised.send(launching(stage.launch(WITH_ORPHANS, tmp_path / "pids", "600")))
    pids = wait_for_pids(tmp_path / "pids", 5)
    supervised.control.close()
    wait_until_gone(pids)
    assert supervised.process.wait(10) == 0


def test_it_is_gone_too_when_the_worker_goes_before_the_outcome_is_read(supervised: Supervised, stage: Stage) -> None:
    supervised.send(launching(stage.launch(SHELL + "echo said")))
    wait_until("the outcome", lambda: bool(supervised.control.recv(1, socket.MSG_PEEK)))
    supervised.control.close()
    assert supervised.process.wait(10) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_to_everybody_do_not_end_it(supervised: Supervised, stage: Stage, number: signal.Signals) -> None:
    supervised.send(launching(stage.launch(SHELL + "echo ready")))
    supervised.outcomes(1)
    supervised.process.send_signal(number)
    supervised.send(launching(stage.launch(SHELL + "echo still here")))
    assert supervised.outcomes(1)[0]["stdout"] == "still here\n"


@pytest.mark.parametrize("patience", [600])
def test_a_signal_to_everybody_may_come_after_the_program_has_failed_of_it(
    supervised: Supervised, stage: Stage, tmp_path: Path
) -> None:
    supervised.send(launching(stage.launch(SHELL + 'echo $$ >> "$1"; exit 1', tmp_path / "pids")))
    assert supervised.control.recv(len(BEGUN)) == BEGUN
    (program,) = wait_for_pids(tmp_path / "pids", 1)
    wait_until("it has ended and is heard of", lambda: not Path(f"/proc/{program}").exists())
    assert select.select([supervised.control], [], [], 0.3)[0] == []
    supervised.process.send_signal(signal.SIGTERM)
    outcome = supervised.outcomes(1)[0]
    assert (outcome["exit_code"], outcome["supervisor_terminated"]) == (1, True)
    supervised.send(launching(stage.launch(SHELL + "kill -TERM $PPID; exit 1")))
    assert supervised.outcomes(1)[0]["supervisor_terminated"]


@pytest.mark.parametrize("patience", [600])
def test_a_program_that_has_not_failed_is_told_of_at_once(supervised: Supervised, stage: Stage) -> None:
    supervised.send(launching(stage.launch(SHELL + "exit 0")))
    supervised.send(launching(stage.launch(SHELL + "kill -KILL $$")))
    assert [outcome["supervisor_terminated"] for outcome in supervised.outcomes(2)] == [False, False]


def test_a_job_finds_nothing_of_the_workers_environment_in_its_own_and_its_parents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "secret")
    with closing(Slot()) as slot:
        seen = Stage(slot, tmp_path).run(SHELL + "cat /proc/$PPID/environ /proc/$$/environ").stdout
    assert seen.count("PATH=") == 1  # its own; its parent's is closed
    assert "CANARY" not in seen
    assert "secret" not in seen


def test_a_gigabyte_of_output_takes_little_memory(supervised: Supervised, stage: Stage) -> None:
    supervised.send(launching(stage.launch(SHELL + "head -c 500M /dev/zero & head -c 500M /dev/zero >&2; wait")))
    outcome = supervised.outcomes(1)[0]
    for text in (outcome["stdout"], outcome["stderr"]):
        assert len(text) == 2 * HALF_BYTES + len(missing_line(500 * 1024**2 - 2 * HALF_BYTES))
    assert peak_megabytes(supervised.process.pid) < 64


def test_a_gigabyte_of_noise_takes_little_memory_as_well(supervised: Supervised, stage: Stage) -> None:
    """Every byte that is no UTF-8 is three bytes of it, and six of JSON."""
    noise = "yes $(printf '\\377\\377\\377\\377\\377\\377\\377') | head -c 2M"
    supervised.send(launching(stage.launch(SHELL + f"{noise}; {noise} >&2; head -c 500M /dev/zero")))
    assert supervised.outcomes(1)[0]["stdout"].startswith("�")
    assert peak_megabytes(supervised.process.pid) < 64


def test_many_launches_leave_no_file_open_and_no_process(supervised: Supervised, stage: Stage) -> None:
    supervised.send(launching(stage.launch(SHELL + "exit 0")))
    supervised.outcomes(1)
    before = file_descriptors(supervised.process.pid)
    for _ in range(50):
        supervised.send(launching(stage.launch(SHELL + "sleep 600 & exit 0")))
        supervised.outcomes(1)
    wait_until("the last outputs are closed", lambda: file_descriptors(supervised.process.pid) <= before)
    assert Path(f"/proc/{supervised.process.pid}/task/{supervised.process.pid}/children").read_text() == ""


def test_a_leader_that_ends_is_not_waited_for_because_of_those_it_left(
    supervised: Supervised, stage: Stage, tmp_path: Path
) -> None:
    """They hold its outputs open: a pipe never ends while anybody may write into it."""
    begun = time.monotonic()
    supervised.send(launching(stage.launch(WITH_ORPHANS, tmp_path / "pids", "0")))
    assert supervised.outcomes(1)[0]["exit_code"] == 0
    assert time.monotonic() - begun < 20
    assert not any(map(alive, wait_for_pids(tmp_path / "pids", 5)))


def test_a_program_that_ignores_everything_ends_with_the_worker(
    supervised: Supervised, stage: Stage, tmp_path: Path
) -> None:
    supervised.send(launching(stage.launch(FOREVER, tmp_path / "pids")))
    pids = wait_for_pids(tmp_path / "pids", 1)
    supervised.control.close()
    wait_until_gone(pids)

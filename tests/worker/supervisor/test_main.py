"""The supervisor runs what the worker sends, outlives every program and does not outlive the worker."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from jobqueue.clock import since_boot
from jobqueue.output import HALF_BYTES, missing_line
from jobqueue.worker.host.shared_flag import SharedFlag
from jobqueue.worker.supervisor.channel import Channel
from jobqueue.worker.supervisor.messages import Launch, LeaseEnd, Message, Outcome, Stop, encode
from jobqueue.worker.supervisor.platform_stop import LATE_SIGNAL_SECONDS
from tests.support.child_script import command
from tests.support.processes import alive, file_descriptors, peak_megabytes, wait_for_pids, wait_until_gone
from tests.support.programs import FOREVER, SHELL, WITH_ORPHANS, Stage
from tests.support.slots import open_slot
from tests.support.waiting import wait_until

SUPERVISOR = """
from jobqueue.worker.supervisor import main, platform_stop
platform_stop.LATE_SIGNAL_SECONDS = float(sys.argv[2])
main.main(sys.argv[1], sys.argv[3], '{"level": "none"}', "4096")
"""

SIGTERM_WAITS = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.kill(os.getpid(), signal.SIGTERM)
"""


@dataclass
class Supervised:
    """A supervisor, the channel to it, and the flag that it sets when a program begins."""

    process: subprocess.Popen[bytes]
    channel: Channel
    socket: socket.socket
    begun: SharedFlag

    def send(self, *messages: Message) -> None:
        """Send messages in one piece."""
        self.socket.sendall(b"".join(encode(message)[0] for message in messages))

    def next_message(self) -> Message:
        while not self.channel.inbox:
            self.channel.receive()
        return self.channel.inbox.popleft()

    def outcomes(self, count: int) -> list[Outcome]:
        """Return that many outcomes, without the messages in between."""
        outcomes: list[Outcome] = []
        while len(outcomes) < count:
            message = self.next_message()
            outcomes += [message] if isinstance(message, Outcome) else []
        return outcomes


@pytest.fixture
def late_signal_seconds() -> float:
    """How long the supervisor waits for a SIGTERM after a program that has failed."""
    return LATE_SIGNAL_SECONDS


@pytest.fixture
def before_start() -> str:
    """Code that runs in the process of the supervisor first."""
    return ""


@pytest.fixture
def supervised(late_signal_seconds: float, before_start: str) -> Iterator[Supervised]:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            begun = SharedFlag()
            passed = theirs.fileno(), begun.fileno()
            arguments = str(passed[0]), str(late_signal_seconds), str(passed[1])
            start = command(before_start + SUPERVISOR, *arguments)
            process = subprocess.Popen(start, pass_fds=passed, env={"PATH": os.defpath})
        with process, closing(begun):
            ours.settimeout(100)  # ends a wait for what never comes; a gigabyte takes a while on a busy machine
            with closing(Channel(ours)) as channel:
                yield Supervised(process, channel, ours, begun)


STOP = Stop(grace_seconds=0)
MOST_GROWTH_MEGABYTES = 48
"""Room for both outputs as bytes and as text, a few times over, beside a gigabyte that is not kept."""


def test_a_launch_is_answered_with_its_outcome(supervised: Supervised, stage: Stage) -> None:
    supervised.send(stage.launch(SHELL + "echo out; echo err >&2; exit 3"))
    (outcome,) = supervised.outcomes(1)
    assert (outcome.stdout, outcome.stderr) == ("out\n", "err\n")
    assert (outcome.measured.signal, outcome.measured.stdout_bytes) == (None, 4)
    assert outcome == Outcome(exit_code=3, measured=outcome.measured)


def test_the_worker_can_see_whether_a_program_has_begun(supervised: Supervised, stage: Stage, tmp_path: Path) -> None:
    supervised.send(replace(stage.launch(SHELL + "exit 0"), lease_end=LeaseEnd(0, 0)))
    assert supervised.outcomes(1)[0].lease_over
    assert not supervised.begun
    supervised.send(stage.launch(SHELL + 'echo $$ >> "$1"; exec sleep 600', tmp_path / "pids"))
    wait_for_pids(tmp_path / "pids", 1)
    assert supervised.begun
    supervised.begun.clear()
    supervised.process.kill()
    supervised.process.wait()
    assert not supervised.begun


def test_launches_that_come_together_are_answered_in_turn(supervised: Supervised, stage: Stage) -> None:
    supervised.send(*(stage.launch(SHELL + f"echo {number}") for number in range(3)))
    assert [outcome.stdout for outcome in supervised.outcomes(3)] == ["0\n", "1\n", "2\n"]


def test_a_message_may_come_in_pieces(supervised: Supervised, stage: Stage) -> None:
    for byte in encode(stage.launch(SHELL + "echo whole"))[0]:
        supervised.socket.sendall(bytes([byte]))
    assert supervised.outcomes(1)[0].stdout == "whole\n"


def test_a_large_message_arrives(supervised: Supervised, stage: Stage) -> None:
    arguments = ["x" * 100_000] * 15
    supervised.send(stage.launch(SHELL + "echo $#", *arguments))
    assert supervised.outcomes(1)[0].stdout == "15\n"


def test_a_stop_while_nothing_runs_has_no_effect(supervised: Supervised, stage: Stage) -> None:
    supervised.send(STOP)
    supervised.send(STOP, stage.launch(SHELL + "echo went on"))
    outcome = supervised.outcomes(1)[0]
    assert (outcome.stdout, outcome.stopped) == ("went on\n", False)


def test_a_stop_that_comes_together_with_its_launch_stops_it(supervised: Supervised, stage: Stage) -> None:
    supervised.send(stage.launch(SHELL + "exec sleep 2"), STOP)
    assert supervised.outcomes(1)[0].stopped


def test_the_supervisor_exits_when_the_worker_is_gone(supervised: Supervised) -> None:
    supervised.channel.close()
    assert supervised.process.wait(10) == 0


def test_the_program_and_all_it_started_end_when_the_worker_is_gone(
    supervised: Supervised, stage: Stage, tmp_path: Path
) -> None:
    supervised.send(stage.launch(WITH_ORPHANS, tmp_path / "pids", "600"))
    pids = wait_for_pids(tmp_path / "pids", 5)
    supervised.channel.close()
    wait_until_gone(pids)
    assert supervised.process.wait(10) == 0


def test_the_supervisor_exits_when_the_worker_goes_before_it_reads_the_outcome(
    supervised: Supervised, stage: Stage
) -> None:
    supervised.send(stage.launch(SHELL + "echo said"))
    wait_until("the outcome", lambda: bool(supervised.socket.recv(1, socket.MSG_PEEK)))
    supervised.channel.close()
    assert supervised.process.wait(10) == 0


@pytest.mark.parametrize("before_start", [SIGTERM_WAITS])
def test_a_sigterm_that_came_while_the_supervisor_started_does_not_end_it(supervised: Supervised, stage: Stage) -> None:
    supervised.send(stage.launch(SHELL + "echo out"))
    assert supervised.outcomes(1)[0].stdout == "out\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_to_every_process_do_not_end_the_supervisor(
    supervised: Supervised, stage: Stage, number: signal.Signals
) -> None:
    supervised.send(stage.launch(SHELL + "echo ready"))
    supervised.outcomes(1)
    supervised.process.send_signal(number)
    supervised.send(stage.launch(SHELL + "echo still here"))
    assert supervised.outcomes(1)[0].stdout == "still here\n"


@pytest.mark.parametrize("late_signal_seconds", [600])
def test_a_sigterm_to_every_process_may_come_after_the_program_has_failed_because_of_it(
    supervised: Supervised, stage: Stage, tmp_path: Path
) -> None:
    supervised.send(stage.launch(SHELL + 'echo $$ >> "$1"; exit 1', tmp_path / "pids"))
    (program,) = wait_for_pids(tmp_path / "pids", 1)
    wait_until("the program is reaped", lambda: not Path(f"/proc/{program}").exists())
    assert select.select([supervised.channel], [], [], 0.3)[0] == []
    supervised.process.send_signal(signal.SIGTERM)
    outcome = supervised.outcomes(1)[0]
    assert (outcome.exit_code, outcome.supervisor_terminated) == (1, True)
    supervised.send(stage.launch(SHELL + "kill -TERM $PPID; exit 1"))
    assert supervised.outcomes(1)[0].supervisor_terminated


@pytest.mark.parametrize("late_signal_seconds", [600])
def test_the_end_of_a_program_that_has_not_failed_is_reported_at_once(supervised: Supervised, stage: Stage) -> None:
    supervised.send(stage.launch(SHELL + "exit 0"))
    supervised.send(stage.launch(SHELL + "kill -KILL $$"))
    assert [outcome.supervisor_terminated for outcome in supervised.outcomes(2)] == [False, False]


def test_a_program_finds_nothing_of_the_workers_environment_in_its_own_and_its_parents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "secret")
    with closing(open_slot()) as slot:
        seen = Stage(slot, tmp_path).run(SHELL + "cat /proc/$PPID/environ /proc/$$/environ").stdout
    assert seen.count("PATH=") == 1  # its own; its parent's is closed
    assert "CANARY" not in seen
    assert "secret" not in seen


def memory_before(supervised: Supervised, stage: Stage) -> float:
    """Run a program that writes nothing; return the most megabytes that the supervisor has held so far."""
    supervised.send(stage.launch(SHELL))
    supervised.outcomes(1)
    return peak_megabytes(supervised.process.pid)


def test_a_gigabyte_of_output_takes_little_memory(supervised: Supervised, stage: Stage) -> None:
    before = memory_before(supervised, stage)
    supervised.send(stage.launch(SHELL + "head -c 500M /dev/zero & head -c 500M /dev/zero >&2; wait"))
    outcome = supervised.outcomes(1)[0]
    for text in (outcome.stdout, outcome.stderr):
        assert len(text) == 2 * HALF_BYTES + len(missing_line(500 * 1024**2 - 2 * HALF_BYTES))
    assert peak_megabytes(supervised.process.pid) - before < MOST_GROWTH_MEGABYTES


def test_a_gigabyte_of_noise_takes_little_memory_as_well(supervised: Supervised, stage: Stage) -> None:
    """Every byte that is not UTF-8 becomes three bytes of text."""
    before = memory_before(supervised, stage)
    noise = "yes $(printf '\\377\\377\\377\\377\\377\\377\\377') | head -c 2M"
    supervised.send(stage.launch(SHELL + f"{noise}; {noise} >&2; head -c 500M /dev/zero"))
    assert supervised.outcomes(1)[0].stdout.startswith("�")
    assert peak_megabytes(supervised.process.pid) - before < MOST_GROWTH_MEGABYTES


def test_many_launches_leave_no_file_open_and_no_process(supervised: Supervised, stage: Stage) -> None:
    supervised.send(stage.launch(SHELL + "exit 0"))
    supervised.outcomes(1)
    before = file_descriptors(supervised.process.pid)
    for _ in range(50):
        supervised.send(stage.launch(SHELL + "sleep 600 & exit 0"))
        supervised.outcomes(1)
    wait_until("the last outputs are closed", lambda: file_descriptors(supervised.process.pid) <= before)
    assert Path(f"/proc/{supervised.process.pid}/task/{supervised.process.pid}/children").read_text() == ""


def test_the_end_of_the_leader_is_reported_although_its_daemons_go_on(
    supervised: Supervised, stage: Stage, tmp_path: Path
) -> None:
    """They hold its outputs open, and a pipe never ends while anybody may write into it."""
    begun = time.monotonic()
    supervised.send(stage.launch(WITH_ORPHANS, tmp_path / "pids", "0"))
    assert supervised.outcomes(1)[0].exit_code == 0
    assert time.monotonic() - begun < 20
    assert not any(map(alive, wait_for_pids(tmp_path / "pids", 5)))


def test_a_program_that_ignores_everything_ends_with_the_worker(
    supervised: Supervised, stage: Stage, tmp_path: Path
) -> None:
    supervised.send(stage.launch(FOREVER, tmp_path / "pids"))
    pids = wait_for_pids(tmp_path / "pids", 1)
    supervised.channel.close()
    wait_until_gone(pids)


def leased(launch: Launch, seconds: float, grace_seconds: float = 60) -> Launch:
    """Return a launch whose lease ends after that time."""
    return replace(launch, lease_end=lease_end(seconds, grace_seconds))


def lease_end(seconds: float, grace_seconds: float = 60) -> LeaseEnd:
    return LeaseEnd(since_boot() + seconds, since_boot() + seconds + grace_seconds)


@pytest.fixture
def ready(supervised: Supervised, stage: Stage) -> Supervised:
    """A supervisor that has run a program, so that it starts the next one at once."""
    supervised.send(stage.launch(SHELL))
    supervised.outcomes(1)
    return supervised


TRAPS = SHELL + 'trap "echo asked; exit 0" TERM; while :; do sleep 0.01; done'


def test_a_program_whose_lease_is_not_renewed_receives_sigterm(ready: Supervised, stage: Stage) -> None:
    ready.send(leased(stage.launch(TRAPS), 1))
    outcome = ready.outcomes(1)[0]
    assert (outcome.stdout, outcome.lease_over, outcome.stopped) == ("asked\n", True, True)


def test_a_program_that_ignores_the_end_of_its_lease_is_killed(ready: Supervised, stage: Stage, tmp_path: Path) -> None:
    ready.send(leased(stage.launch(FOREVER, tmp_path / "pids"), 0.5, 0.5))
    outcome = ready.outcomes(1)[0]
    assert (outcome.measured.signal, outcome.lease_over) == ("SIGKILL", True)


def test_a_program_whose_lease_is_renewed_runs_on(ready: Supervised, stage: Stage) -> None:
    ready.send(leased(stage.launch(SHELL + "sleep 1.2; echo done"), 1), lease_end(600))
    outcome = ready.outcomes(1)[0]
    assert (outcome.stdout, outcome.lease_over) == ("done\n", False)


def test_a_program_whose_lease_is_over_is_not_started(supervised: Supervised, stage: Stage, tmp_path: Path) -> None:
    """Its worker was suspended between the download and the start."""
    supervised.send(leased(stage.launch(SHELL + ': > "$1"', tmp_path / "started"), -0.001))
    assert supervised.next_message() == Outcome(stopped=True, lease_over=True)
    assert not (tmp_path / "started").exists()


def test_a_renewal_that_was_sent_in_time_counts_although_the_supervisor_was_suspended(
    ready: Supervised, stage: Stage, tmp_path: Path
) -> None:
    program = SHELL + 'echo $$ >> "$1"; while [ ! -e "$2" ]; do sleep 0.01; done'
    ready.send(leased(stage.launch(program, tmp_path / "pids", tmp_path / "go"), 2))
    wait_for_pids(tmp_path / "pids", 1)
    over_at = since_boot() + 2
    ready.process.send_signal(signal.SIGSTOP)
    ready.send(lease_end(600))
    wait_until("the first lease is over", lambda: since_boot() > over_at)
    ready.process.send_signal(signal.SIGCONT)
    (tmp_path / "go").touch()
    assert not ready.outcomes(1)[0].lease_over


def test_a_worker_that_reads_nothing_does_not_keep_a_program_alive_beyond_its_lease(
    supervised: Supervised, stage: Stage, tmp_path: Path
) -> None:
    """The channel is full: the program writes more than the sockets have room for."""
    program = SHELL + 'echo $$ >> "$1"; exec yes'
    supervised.send(leased(stage.launch(program, tmp_path / "pids"), 3, 0))
    pids = wait_for_pids(tmp_path / "pids", 1)
    wait_until_gone(pids, 30)
    outcome = supervised.outcomes(1)[0]
    assert (outcome.lease_over, outcome.stopped) == (True, True)
    assert outcome.stdout.startswith("y\ny\n")

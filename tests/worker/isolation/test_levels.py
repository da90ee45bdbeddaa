"""What every level of isolation gives a program, and what every sandbox denies it."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobqueue.worker.isolation import landlock, levels
from jobqueue.worker.slots.slot import SupervisorDied
from jobqueue.worker.supervisor.messages import signal_name
from tests.support import processes
from tests.support.confined import DENIED, Sandbox, processes_of, python, sandbox, secret_below
from tests.support.paths import PATH
from tests.support.waiting import wait_until

CONFINING = ("landlock", "user", "bwrap")
CHANGE_IT = (
    "write(program)",
    "os.truncate(program, 0)",
    "os.unlink(program)",
    "os.rename('other', program)",
    "rewrite(program)",
)
HANDLES_TERM = """#!/bin/sh
trap 'echo asked; exit 7' TERM
: >ready
while :; do sleep 0.02; done
"""
DAEMONIZES = """#!/bin/sh
[ -z "$1" ] || { : >"ready-$1"; sleep 600; }
setsid "$0" 1 &
(setsid "$0" 2 &)
while [ ! -e ready-1 ] || [ ! -e ready-2 ]; do sleep 0.01; done
: >ready
sleep 600
"""


@pytest.fixture(params=CONFINING)
def sandboxed(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with sandbox(request.param) as made:
        yield made


def test_a_program_gets_its_arguments_its_environment_and_its_directory(any_level: Sandbox) -> None:
    script = f"#!{python()} -IS\nimport json, os, sys\nprint(json.dumps([sys.argv, dict(os.environ), os.getcwd()]))"
    launch = any_level.launch(script, "", "two words", "--", "é\n", environment={"A": "b c", "PATH": PATH})
    argv, environment, directory = json.loads(any_level.run_launch(launch).stdout)
    assert argv == [launch.program, *launch.arguments]
    assert {name: environment[name] for name in ("A", "PATH")} == {"A": "b c", "PATH": PATH}
    assert environment.keys() - {"A", "PATH", "LC_CTYPE"} <= {"PWD"}
    assert directory == launch.directory


@pytest.mark.parametrize("code", [0, 1, 42, 127, 255])
def test_the_exit_code_of_a_program_is_reported(any_level: Sandbox, code: int) -> None:
    outcome = any_level.run("#!/bin/sh\necho out\necho err >&2\nexit $1", str(code))
    assert (outcome.exit_code, outcome.measured.signal) == (code, None)
    assert (outcome.stdout, outcome.stderr) == ("out\n", "err\n")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGRTMIN])
def test_a_death_by_a_signal_is_reported_as_one(any_level: Sandbox, number: int) -> None:
    outcome = any_level.run("#!/bin/sh\nkill -$1 $$", str(int(number)))
    assert (outcome.exit_code, outcome.measured.signal) == (128 + number, signal_name(number))


def test_a_program_may_write_its_directory_and_devices(any_level: Sandbox) -> None:
    program = """#!/bin/sh
set -e
mkdir -p sub/deep && echo text >sub/file && mv sub/file sub/deep/ && cat sub/deep/file && rm -r sub
echo gone >/dev/null && echo out >/dev/stdout && echo err >/dev/stderr && head -c 4 /dev/zero | wc -c
printf '#!/bin/sh\\necho made\\n' >tool && chmod +x tool && ./tool && ls && test -n "$(ls /usr/bin)"
"""
    outcome = any_level.run(program)
    assert (outcome.stderr, outcome.stdout) == ("err\n", "text\nout\n4\nmade\ntool\n")
    assert outcome.exit_code == 0


def test_python_runs_with_what_it_needs_of_the_system(any_level: Sandbox) -> None:
    script = (
        "import multiprocessing, socket, ssl, sqlite3, subprocess, sys, tempfile\n"
        "multiprocessing.Lock().acquire()\n"
        "ssl.create_default_context(); tempfile.TemporaryFile(dir='.').write(b'x')\n"
        "socket.getaddrinfo('localhost', 80)\n"
        "print(subprocess.run(['uname'], capture_output=True, text=True).stdout.strip())"
    )
    outcome = any_level.run(f"#!{python()}\n{script}")
    assert (outcome.stdout, outcome.stderr) == ("Linux\n", "")


@pytest.mark.parametrize("level", ["none", "landlock", "bwrap"])
def test_a_program_may_be_written_for_the_workers_own_python(level: str) -> None:
    with sandbox(level) as made:
        outcome = made.run(f"#!{sys.executable}\nimport json, sys; print(sys.executable)")
    assert (outcome.stdout.strip(), outcome.stderr) == (sys.executable, "")


def test_a_program_may_use_the_network(any_level: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert any_level.try_each(f"socket.create_connection({server.getsockname()!r}).close()") == [None]


def test_files_of_the_worker_cannot_be_read(sandboxed: Sandbox) -> None:
    (sandboxed.hidden / "cached").write_text("secret")
    other = sandboxed.launch("#!/bin/sh\n")
    theirs = Path(other.directory, "file")
    theirs.write_text("secret")
    theirs.chmod(0o600)
    os.chown(other.directory, os.geteuid(), -1)  # as for a job in another slot, which runs as another user
    with secret_below(Path.home()) as at_home, secret_below(Path("/tmp")) as temporary:
        paths = [sandboxed.hidden / "cached", theirs, at_home, temporary]
        results = sandboxed.try_each(*(f"read({str(path)!r})" for path in paths))
        written = sandboxed.try_each(*(f"write({str(path)!r})" for path in paths))
        listed = sandboxed.try_each(*(f"os.listdir({str(path.parent)!r})" for path in paths))
    for each in (*results, *written, *listed):
        assert each in DENIED


@pytest.mark.parametrize("level", ["landlock", "bwrap"])
def test_a_hidden_directory_stays_hidden_below_a_readable_one(level: str) -> None:
    with secret_below(Path("/opt")) as secret, sandbox(level, secret.parent) as made:
        read, beside = made.try_each(f"read({str(secret)!r})", "len(os.listdir('/usr/bin')) > 5")
        assert read in DENIED
        assert beside is True


def test_a_program_cannot_change_its_own_file(sandboxed: Sandbox) -> None:
    probing = [expression.replace("program", "sys.argv[0]") for expression in CHANGE_IT]
    results = sandboxed.try_each("write('other')", *probing, "len(read(sys.argv[0])) > 0")
    assert results[0] is None
    assert all(each in DENIED for each in results[1:-1]), results
    assert results[-1] is True


def test_a_program_has_no_capabilities(sandboxed: Sandbox) -> None:
    (status,) = sandboxed.try_each("read('/proc/self/status')")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {int(fields[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
    assert fields["NoNewPrivs"] == "1"


def test_the_memory_of_the_worker_and_its_supervisor_cannot_be_read(sandboxed: Sandbox) -> None:
    pids = [os.getpid(), sandboxed.slot.supervisor_pid]
    results = sandboxed.try_each(
        *(f"read('/proc/{pid}/{file}')" for pid in pids for file in ("environ", "maps", "mem"))
    )
    assert all(each in DENIED for each in results), results


def test_the_worker_and_its_supervisor_cannot_be_signalled(sandboxed: Sandbox) -> None:
    if sandboxed.level == "landlock" and landlock.version() < landlock.SCOPES_VERSION:
        pytest.skip("this kernel's Landlock does not restrict signals")
    pids = [os.getpid(), sandboxed.slot.supervisor_pid]
    results = sandboxed.try_each(*(f"os.kill({pid}, 0)" for pid in pids))
    assert all(each in ("PermissionError", "ProcessLookupError") for each in results), results


def test_a_program_that_handles_sigterm_ends_in_its_own_way(any_level: Sandbox) -> None:
    launch = any_level.launch(HANDLES_TERM)
    future = any_level.begin(launch)
    wait_until("the program is ready", Path(launch.directory, "ready").exists)
    any_level.slot.stop(grace_seconds=10)
    outcome = future.result(10)
    assert (outcome.exit_code, outcome.measured.signal, outcome.stdout) == (7, None, "asked\n")


def test_a_program_that_does_not_handle_sigterm_is_killed_by_it(any_level: Sandbox) -> None:
    launch = any_level.launch("#!/bin/sh\n: >ready\nsleep 600")
    future = any_level.begin(launch)
    wait_until("the program is ready", Path(launch.directory, "ready").exists)
    any_level.slot.stop(grace_seconds=10)
    assert future.result(10).measured.signal == "SIGTERM"


def test_a_program_that_is_stopped_while_it_starts_ends_soon(any_level: Sandbox) -> None:
    for pause in (0, 0.002, 0.004, 0.006, 0.01):
        launch = any_level.launch("#!/bin/sh\nsleep 600")
        future = any_level.begin(launch)
        # `begin` returns before the launch is sent, so the first stop reaches the supervisor before it forks. No event
        # announces the later moments of a start.
        time.sleep(pause)
        any_level.slot.stop(grace_seconds=30)
        assert future.result(10).measured.signal == "SIGTERM"


def test_nothing_is_left_of_a_program_whose_leader_is_killed(any_level: Sandbox) -> None:
    launch = any_level.launch(DAEMONIZES)
    future = any_level.begin(launch)
    wait_until("the program is ready", Path(launch.directory, "ready").exists)
    (leader,) = processes.children(any_level.slot.supervisor_pid)[:1]
    started = processes_of(launch)
    assert len(started) >= 3
    os.kill(leader, signal.SIGKILL)
    assert future.result(10).measured.signal == "SIGKILL"
    assert not any(map(processes.alive, started))
    assert processes_of(launch) == []


def test_nothing_is_left_of_a_program_that_is_killed(any_level: Sandbox) -> None:
    launch = any_level.launch(DAEMONIZES)
    future = any_level.begin(launch)
    wait_until("the program is ready", Path(launch.directory, "ready").exists)
    any_level.slot.stop()
    assert future.result(10).measured.signal == "SIGKILL"
    assert processes_of(launch) == []


def test_a_program_is_killed_when_its_supervisor_is(any_level: Sandbox) -> None:
    """What the program has started is killed by the worker, which adopts orphans; the process of this test does not."""
    launch = any_level.launch("#!/bin/sh\n: >ready\nexec sleep 600")
    future = any_level.begin(launch)
    wait_until("the program is ready", Path(launch.directory, "ready").exists)
    started = processes.family(any_level.slot.supervisor_pid)
    assert len(started) >= 2
    os.kill(any_level.slot.supervisor_pid, signal.SIGKILL)
    with pytest.raises(SupervisorDied):
        future.result(10)
    processes.wait_until_gone(started)


def test_a_level_can_be_made_again_from_its_description(any_level: Sandbox) -> None:
    described = json.loads(json.dumps(any_level.isolation.describe()))
    again = levels.from_description(described)
    assert type(again) is type(any_level.isolation)
    assert (again.describe(), again.uid) == (described, any_level.isolation.uid)

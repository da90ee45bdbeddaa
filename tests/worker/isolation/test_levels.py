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
from jobqueue.worker.slots.slot import SlotDied
from jobqueue.worker.supervisor.messages import signal_name
from tests.support import processes
from tests.support.confined import DENIED, PATH, House, house, processes_of, python, secret_below
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


@pytest.fixture(params=levels.LEVELS)
def any_house(request: pytest.FixtureRequest) -> Iterator[House]:
    with house(request.param) as built:
        yield built


@pytest.fixture(params=CONFINING)
def confining(request: pytest.FixtureRequest) -> Iterator[House]:
    with house(request.param) as built:
        yield built


def test_a_program_gets_its_arguments_its_environment_and_its_directory(any_house: House) -> None:
    script = f"#!{python()} -IS\nimport json, os, sys\nprint(json.dumps([sys.argv, dict(os.environ), os.getcwd()]))"
    launch = any_house.launch(script, "", "two words", "--", "é\n", environment={"A": "b c", "PATH": PATH})
    argv, environment, directory = json.loads(any_house.run_launch(launch).stdout)
    assert argv == [launch.program, *launch.arguments]
    assert {name: environment[name] for name in ("A", "PATH")} == {"A": "b c", "PATH": PATH}
    assert environment.keys() - {"A", "PATH", "LC_CTYPE"} <= {"PWD"}
    assert directory == launch.directory


@pytest.mark.parametrize("code", [0, 1, 42, 127, 255])
def test_an_exit_code_arrives(any_house: House, code: int) -> None:
    outcome = any_house.run("#!/bin/sh\necho out\necho err >&2\nexit $1", str(code))
    assert (outcome.exit_code, outcome.measured.signal) == (code, None)
    assert (outcome.stdout, outcome.stderr) == ("out\n", "err\n")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGRTMIN])
def test_a_death_by_a_signal_is_told_as_one(any_house: House, number: int) -> None:
    outcome = any_house.run("#!/bin/sh\nkill -$1 $$", str(int(number)))
    assert (outcome.exit_code, outcome.measured.signal) == (128 + number, signal_name(number))


def test_a_program_may_write_its_directory_and_devices(any_house: House) -> None:
    program = """#!/bin/sh
set -e
mkdir -p sub/deep && echo text >sub/file && mv sub/file sub/deep/ && cat sub/deep/file && rm -r sub
echo gone >/dev/null && echo out >/dev/stdout && echo err >/dev/stderr && head -c 4 /dev/zero | wc -c
printf '#!/bin/sh\\necho made\\n' >tool && chmod +x tool && ./tool && ls && test -n "$(ls /usr/bin)"
"""
    outcome = any_house.run(program)
    assert (outcome.stderr, outcome.stdout) == ("err\n", "text\nout\n4\nmade\ntool\n")
    assert outcome.exit_code == 0


def test_python_runs_with_what_it_needs_of_the_system(any_house: House) -> None:
    script = (
        "import multiprocessing, socket, ssl, sqlite3, subprocess, sys, tempfile\n"
        "multiprocessing.Lock().acquire()\n"
        "ssl.create_default_context(); tempfile.TemporaryFile(dir='.').write(b'x')\n"
        "socket.getaddrinfo('localhost', 80)\n"
        "print(subprocess.run(['uname'], capture_output=True, text=True).stdout.strip())"
    )
    outcome = any_house.run(f"#!{python()}\n{script}")
    assert (outcome.stdout, outcome.stderr) == ("Linux\n", "")


@pytest.mark.parametrize("level", ["none", "landlock", "bwrap"])
def test_a_program_may_be_written_for_the_workers_own_python(level: str) -> None:
    with house(level) as built:
        outcome = built.run(f"#!{sys.executable}\nimport json, sys; print(sys.executable)")
    assert (outcome.stdout.strip(), outcome.stderr) == (sys.executable, "")


def test_the_network_stays_open(any_house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert any_house.try_each(f"socket.create_connection({server.getsockname()!r}).close()") == [None]


def test_what_is_the_workers_own_cannot_be_read(confining: House) -> None:
    (confining.hidden / "cached").write_text("secret")
    other = confining.launch("#!/bin/sh\n")
    theirs = Path(other.directory, "file")
    theirs.write_text("secret")
    theirs.chmod(0o600)
    os.chown(other.directory, os.geteuid(), -1)  # as that of a job in another slot, which is another user's
    with secret_below(Path.home()) as at_home, secret_below(Path("/tmp")) as temporary:
        paths = [confining.hidden / "cached", theirs, at_home, temporary]
        found = confining.try_each(*(f"read({str(path)!r})" for path in paths))
        written = confining.try_each(*(f"write({str(path)!r})" for path in paths))
        listed = confining.try_each(*(f"os.listdir({str(path.parent)!r})" for path in paths))
    for each in (*found, *written, *listed):
        assert each in DENIED


@pytest.mark.parametrize("level", ["landlock", "bwrap"])
def test_what_is_hidden_stays_so_within_what_may_be_read(level: str) -> None:
    with secret_below(Path("/opt")) as secret, house(level, secret.parent) as built:
        read, beside = built.try_each(f"read({str(secret)!r})", "len(os.listdir('/usr/bin')) > 5")
        assert read in DENIED
        assert beside is True


def test_a_program_cannot_change_its_own_file(confining: House) -> None:
    probing = [expression.replace("program", "sys.argv[0]") for expression in CHANGE_IT]
    found = confining.try_each("write('other')", *probing, "len(read(sys.argv[0])) > 0")
    assert found[0] is None
    assert all(each in DENIED for each in found[1:-1]), found
    assert found[-1] is True


def test_nothing_that_is_roots_alone_is_left(confining: House) -> None:
    (status,) = confining.try_each("read('/proc/self/status')")
    told = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {int(told[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
    assert told["NoNewPrivs"] == "1"


def test_the_worker_and_its_slot_cannot_be_looked_into(confining: House) -> None:
    pids = [os.getpid(), confining.slot._process.pid]
    found = confining.try_each(*(f"read('/proc/{pid}/{file}')" for pid in pids for file in ("environ", "maps", "mem")))
    assert all(each in DENIED for each in found), found


def test_the_worker_and_its_slot_cannot_be_signalled(confining: House) -> None:
    if confining.level == "landlock" and landlock.version() < landlock.SCOPES_VERSION:
        pytest.skip("this kernel's Landlock does not know of signals")
    pids = [os.getpid(), confining.slot._process.pid]
    found = confining.try_each(*(f"os.kill({pid}, 0)" for pid in pids))
    assert all(each in ("PermissionError", "ProcessLookupError") for each in found), found


def test_a_program_that_is_asked_to_end_ends_in_its_own_way(any_house: House) -> None:
    launch = any_house.launch(HANDLES_TERM)
    future = any_house.begin(launch)
    wait_until("the program is ready", Path(launch.directory, "ready").exists)
    any_house.slot.stop(grace_seconds=10)
    outcome = future.result(10)
    assert (outcome.exit_code, outcome.measured.signal, outcome.stdout) == (7, None, "asked\n")


def test_a_program_that_does_not_care_dies_of_sigterm(any_house: House) -> None:
    launch = any_house.launch("#!/bin/sh\n: >ready\nsleep 600")
    future = any_house.begin(launch)
    wait_until("the program is ready", Path(launch.directory, "ready").exists)
    any_house.slot.stop(grace_seconds=10)
    assert future.result(10).measured.signal == "SIGTERM"


def test_a_program_that_is_asked_at_once_ends_soon(any_house: House) -> None:
    for pause in (0, 0.002, 0.004, 0.006, 0.01):
        launch = any_house.launch("#!/bin/sh\nsleep 600")
        future = any_house.begin(launch)
        wait_until("it is begun", lambda: any_house.slot._running is not None)
        time.sleep(pause)  # at different moments of the start: there is no event for each
        any_house.slot.stop(grace_seconds=30)
        assert future.result(10).measured.signal == "SIGTERM"


def test_nothing_is_left_of_a_program_whose_leader_is_killed(any_house: House) -> None:
    launch = any_house.launch(DAEMONIZES)
    future = any_house.begin(launch)
    wait_until("the program is ready", Path(launch.directory, "ready").exists)
    (leader,) = processes.children(any_house.slot._process.pid)[:1]
    started = processes_of(launch)
    assert len(started) >= 3
    os.kill(leader, signal.SIGKILL)
    assert future.result(10).measured.signal == "SIGKILL"
    assert not any(map(processes.alive, started))
    assert processes_of(launch) == []


def test_nothing_is_left_of_a_program_that_is_killed(any_house: House) -> None:
    launch = any_house.launch(DAEMONIZES)
    future = any_house.begin(launch)
    wait_until("the program is ready", Path(launch.directory, "ready").exists)
    any_house.slot.stop()
    assert future.result(10).measured.signal == "SIGKILL"
    assert processes_of(launch) == []


def test_a_program_dies_with_its_slot(any_house: House) -> None:
    """What it has started does so when the slot is a worker's: here nobody takes orphans."""
    launch = any_house.launch("#!/bin/sh\n: >ready\nexec sleep 600")
    future = any_house.begin(launch)
    wait_until("the program is ready", Path(launch.directory, "ready").exists)
    started = processes.family(any_house.slot._process.pid)
    assert len(started) >= 2
    any_house.slot._process.kill()
    with pytest.raises(SlotDied):
        future.result(10)
    processes.wait_until_gone(started)


def test_a_level_survives_its_description(any_house: House) -> None:
    described = json.loads(json.dumps(any_house.confined.describe()))
    again = levels.from_description(described)
    assert type(again) is type(any_house.confined)
    assert (again.describe(), again.uid) == (described, any_house.confined.uid)

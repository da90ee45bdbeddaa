"""A program is started by vfork, or by fork where that does not work, with the same result.

Each test starts programs in a process of its own, which has a single thread.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.child_script import line_from, output_of, running
from tests.support.processes import alive, wait_until_gone
from tests.support.waiting import wait_until

BEGIN = """
import errno, json, os, signal
from dataclasses import replace
from jobqueue.worker.host.hardening import LIBC, Call, OomScore
from jobqueue.worker.isolation.base import Command, Isolation
from jobqueue.worker.supervisor import program, vfork
from jobqueue.worker.supervisor.messages import Launch

class Calling(Isolation):
    def __init__(self, *calls):
        super().__init__()
        self._calls = calls
    def calls(self, outputs):
        return self._calls

def starter(*calls):
    if sys.argv[1] == "fork":
        vfork.Vfork.make = lambda: None
    made = program.Starter(Calling(*calls), OomScore())
    assert (made._vfork is None) == (sys.argv[1] == "fork")
    return made

def by_descriptor(launch):
    path = os.path.realpath(launch.program)
    if sys.argv[1] == "path" or not os.path.isfile(path):
        return launch
    info = os.stat(path)
    return replace(launch, program=path, program_number=[info.st_dev, info.st_ino])

def start(launch, *calls):
    pid, outputs = starter(*calls).start(by_descriptor(launch))
    os.set_blocking(outputs["stdout"], True)
    with open(outputs["stdout"]) as stdout:
        text = stdout.read()
    return text, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def shell(script, directory="/", **variables):
    return Launch("/bin/sh", ["-c", script], {"PATH": "/usr/bin:/bin", **variables}, directory)

def error_of(launch, *calls):
    try:
        return start(launch, *calls)
    except Exception as error:
        return type(error).__name__, str(error), getattr(error, "errno", None), getattr(error, "filename", None)
"""
NAMED_SINCE = (6, 14)
"""Since this Linux, a process that was executed by a descriptor has the name of the file; before, the number."""

WAYS = ("vfork", "fork")
BY_PATH = "path"
"""By vfork as well, but the file is executed by its path, as one whose number is not known."""


def value_of(way: str, expression: str, *arguments: str | Path) -> Any:
    return json.loads(output_of(f"{BEGIN}\nprint(json.dumps({expression}))", way, *arguments))


@pytest.mark.parametrize("way", WAYS)
def test_a_program_starts_in_the_same_state_either_way(way: str, tmp_path: Path) -> None:
    look = (
        "pwd; nice; cat /proc/$$/oom_score_adj; cat </proc/$$/environ; echo; [ $(ps -o sid= $$) = $$ ] && "
        "echo leads; readlink /proc/$$/fd/0; ls -m /proc/$$/fd; exec grep -E '^Sig(Ign|Blk)' /proc/self/status"
    )
    text, code = value_of(way, f"start(shell({look!r}, sys.argv[2], A='b c'))", tmp_path)
    lines = text.splitlines()
    assert lines[:5] == [str(tmp_path), str(min(os.nice(0) + 5, 19)), "500", "PATH=/usr/bin:/bin\0A=b c\0", "leads"]
    reserved = 1 << 31 | 1 << 32  # signals 32 and 33 belong to the C library
    assert [int(each.split()[1], 16) & ~reserved for each in lines[7:]] == [0, 0]
    assert (lines[6], code) == ("0, 1, 2", 0)


@pytest.mark.parametrize("way", WAYS)
def test_a_program_that_cannot_be_executed_is_reported_with_its_path(way: str) -> None:
    for path, number in (("/proc/self/no-program", 2), ("/etc/passwd", 13), ("/bin", 13)):
        result = value_of(way, f"error_of(Launch({path!r}, [], {{}}, '/'))")
        assert result[2:] == [number, path]
    assert value_of(way, "error_of(shell('exit', '/no/directory'))")[2:] == [2, "/no/directory"]
    assert value_of(way, "error_of(Launch('/bin/echo', ['x' * 131072], {}, '/'))")[2] == 7
    for arguments, variables in ((["\0"], {}), (["\ud800"], {}), ([], {"A=B": "c"}), ([], {"A": "\0"})):
        result = value_of(way, f"error_of(Launch('/bin/echo', {arguments!r}, {variables!r}, '/'))")
        assert result[0] in ("ValueError", "UnicodeEncodeError")


@pytest.mark.parametrize("fails", ["Call(LIBC.close, -1)", "Call(LIBC.setsid)"], ids=["EBADF", "EPERM"])
@pytest.mark.parametrize("way", [*WAYS, BY_PATH])
def test_a_program_is_not_executed_when_it_cannot_be_confined(way: str, fails: str, tmp_path: Path) -> None:
    """Whichever call fails, and with whichever error: one that comes after it may be successful."""
    does_not = "Call(LIBC.setpriority, 0, 0, 7)"
    for calls in (fails, f"{fails}, {does_not}", f"{does_not}, {fails}"):
        result = value_of(way, f"error_of(shell(': >\"$A\"', A=sys.argv[2]), {calls})", tmp_path / "ran")
        assert result[0] == "SubprocessError"
    assert not (tmp_path / "ran").exists()
    assert value_of(way, f"start(shell('nice'), {does_not})")[0] == "7\n"


@pytest.mark.parametrize("way", ["vfork", BY_PATH])
def test_a_program_is_called_as_its_file_is(way: str) -> None:
    name = value_of(way, "start(Launch('/bin/cat', ['/proc/self/comm'], {}, '/'))[0]").rstrip()
    is_older = tuple(map(int, os.uname().release.split(".")[:2])) < NAMED_SINCE
    assert name == os.path.realpath("/bin/cat").rpartition("/")[2] or (is_older and way == "vfork")


def test_a_program_that_cannot_be_executed_by_its_descriptor_alone_is_given_a_path() -> None:
    """As one for another processor, whose emulator opens it by its path."""
    script = """
made = starter()
made._vfork._execveat = LIBC.mkdirat  # which fails as execveat(2) does then: by ENOENT
starter = lambda: made
print(json.dumps(start(Launch("/bin/echo", ["once"], {}, "/"))))
"""
    assert json.loads(output_of(BEGIN + script, "vfork")) == ["once\n", 0]


def test_a_child_whose_parent_died_before_the_setting_executes_nothing(tmp_path: Path) -> None:
    """When the parent is gone nobody can read the output, as here."""
    script = """
read_fd, write_fd = os.pipe()
os.close(read_fd)
other_fd = os.dup(0)
order = vfork.Order(Command(["/usr/bin/touch", sys.argv[2]], {}), "/", write_fd, 2, other_fd)
try:
    vfork.Vfork.make().start(order)
except Exception as error:
    print(error)
"""
    assert "Broken pipe" in output_of(BEGIN + script, "vfork", tmp_path / "ran")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("way", WAYS)
def test_a_program_dies_with_the_process_that_started_it(way: str) -> None:
    script = (
        "pid, _ = starter().start(Launch('/bin/sleep', ['600'], {}, '/')); print(pid, flush=True); sys.stdin.read()"
    )
    with running(BEGIN + script, way) as parent:
        program = int(line_from(parent))
        assert alive(program)
        parent.kill()
        wait_until_gone([program])


def test_signals_that_come_at_any_moment_of_a_start_neither_harm_parent_nor_program() -> None:
    """The program has the default handlers, so it may die of a signal, but the parent sees none that was not its."""
    script = """
received = 0
def receive(*_):
    global received
    received += 1
signal.signal(signal.SIGUSR1, receive)
starter = starter()
print(flush=True)
for number in range(200):
    pid, outputs = starter.start(Launch("/bin/echo", [str(number)], {}, "/"))
    os.set_blocking(outputs["stdout"], True)
    with open(outputs["stdout"]) as stdout:
        text = stdout.read()
    os.close(outputs["stderr"])
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert (text, code) == (f"{number}\\n", 0), (text, code)
print(received, flush=True)
os._exit(0)
"""
    with running(BEGIN + script, "vfork") as parent:
        line_from(parent)
        sent = 0
        while parent.poll() is None and sent < 1_000_000:
            os.kill(parent.pid, signal.SIGUSR1)
            sent += 1
        wait_until("it has ended", lambda: parent.poll() is not None)
        assert int(line_from(parent)) > 0
        assert parent.returncode == 0

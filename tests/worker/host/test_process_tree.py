"""Everything below a process is found and killed, however fast it starts others and however deep it hides.

Each test's script runs in a process of its own, which adopts what its children leave: all its children are killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from jobqueue.worker.host import process_tree
from jobqueue.worker.host.process_tree import children_of, descendants_of

ROOT = str(Path(__file__).parents[3])
BEGIN = """
import json, os, pathlib, signal, subprocess, sys, threading, time
sys.path.insert(0, sys.argv[1])
from jobqueue.worker.host.hardening import adopt_orphans
from jobqueue.worker.host.process_tree import children_of, descendants_of, kill_children
adopt_orphans()
alive_r, alive_w = os.pipe()  # whoever has the end to write into is alive: this one reads its end when all are gone
told_r, told_w = os.pipe()  # where each process tells that it is there
spent_r, spent_w = os.pipe()  # a byte for each process that may be started yet
os.write(spent_w, b"x" * int(sys.argv[2]))
os.close(spent_w)
os.set_blocking(spent_r, False)
def may_start():
    return os.read(spent_r, 1) != b""
def tell():
    os.write(told_w, b"%d\\n" % os.getpid())
def heard(count):
    lines = b""
    while lines.count(b"\\n") < count:
        lines += os.read(told_r, 65536)
    return [int(line) for line in lines.split()]
def gone():
    os.close(alive_w)
    return os.read(alive_r, 1) == b""
def begin(body):
    pid = os.fork()
    if pid == 0:
        try:
            body()
        finally:
            os._exit(0)
    return pid
"""


def outcome_of(script: str, most_processes: int = 0) -> Any:
    """Return what a script prints, as JSON."""
    command = [sys.executable, "-c", BEGIN + script, ROOT, str(most_processes)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, timeout=60, check=True)
    return json.loads(ended.stdout)


def test_a_fork_bomb_is_killed() -> None:
    """Every process starts others as fast as it can, half of them in sessions of their own."""
    script = """
def bomb():
    tell()
    while may_start():
        if os.fork() == 0:
            if os.getpid() % 2:
                os.setsid()
            tell()
    time.sleep(600)
begin(bomb)
heard(20)
kill_children()
print(json.dumps([gone(), children_of(os.getpid())]))
"""
    assert outcome_of(script, 500) == [True, []]


def test_a_chain_of_processes_that_each_start_the_next_and_end_is_broken() -> None:
    script = """
def hop():
    while may_start():
        if os.fork():
            os._exit(0)
        os.setsid()
        tell()
    time.sleep(600)
for _ in range(3):
    begin(hop)
heard(10)
kill_children()
print(json.dumps([gone(), children_of(os.getpid())]))
"""
    assert outcome_of(script, 3000) == [True, []]


def test_a_deep_chain_of_processes_is_killed_to_its_end() -> None:
    script = """
def dig():
    tell()
    while may_start() and os.fork() == 0:
        tell()
    time.sleep(600)
top = begin(dig)
pids = heard(101)
found = descendants_of(top)
kill_children()
print(json.dumps([gone(), children_of(os.getpid()), found == pids[:0:-1]]))
"""
    assert outcome_of(script, 100) == [True, [], True]


def test_daemons_and_stopped_and_deaf_processes_are_killed() -> None:
    script = """
def deaf():
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    tell()
    time.sleep(600)
def stopped():
    tell()
    os.kill(os.getpid(), signal.SIGSTOP)
def daemon():
    os.setsid()
    if os.fork() == 0:
        tell()
        time.sleep(600)
for body in (deaf, stopped, daemon):
    begin(body)
heard(3)
kill_children()
print(json.dumps([gone(), children_of(os.getpid())]))
"""
    assert outcome_of(script) == [True, []]


def test_a_parent_that_starts_each_child_anew_is_killed_before_its_children() -> None:
    """It hears of the death of each."""
    script = """
def parent():
    def child():
        tell()
        time.sleep(600)
    while may_start():
        begin(child)
        os.wait()
    time.sleep(600)
for _ in range(5):
    begin(parent)
heard(5)
kill_children()
print(json.dumps([gone(), children_of(os.getpid()), len(os.read(spent_r, 1000))]))
"""
    assert outcome_of(script, 100) == [True, [], 95]


def test_those_to_spare_live_on_with_all_below_them() -> None:
    script = """
def parent():
    if os.fork() == 0:
        tell()
        time.sleep(600)
    tell()
    time.sleep(600)
spared, doomed = begin(parent), begin(parent)
heard(4)
kill_children(spare={spared})
alive = [len(descendants_of(spared)), children_of(os.getpid()) == [spared]]
kill_children()
print(json.dumps([*alive, gone()]))
"""
    assert outcome_of(script) == [1, True, True]


def test_children_of_every_thread_are_found() -> None:
    script = """
pids = []
def start():
    pids.append(subprocess.Popen(["/bin/sleep", "600"]).pid)
    told.set()
    time.sleep(600)
told = threading.Event()
threading.Thread(target=start, daemon=True).start()
told.wait()
found = children_of(os.getpid()) == pids
kill_children()
print(json.dumps([found, children_of(os.getpid())]), flush=True)
os._exit(0)
"""
    assert outcome_of(script) == [True, []]


def test_zombies_are_buried() -> None:
    script = """
for _ in range(20):
    begin(tell)
heard(20)
kill_children()
print(json.dumps(children_of(os.getpid())))
"""
    assert outcome_of(script) == []


def test_the_most_memory_that_one_of_them_held_is_known() -> None:
    script = """
def hold(megabytes):
    held = b"x" * (megabytes << 20)
    tell()
    time.sleep(600)
for megabytes in (1, 150, 20):
    begin(lambda: hold(megabytes))
heard(3)
print(json.dumps(kill_children().peak_memory_bytes))
"""
    assert 150 << 20 <= outcome_of(script) < 250 << 20


def test_where_there_are_no_children_nothing_happens() -> None:
    assert outcome_of("print(json.dumps(kill_children().peak_memory_bytes))") == 0


@pytest.mark.parametrize("find", [children_of, descendants_of])
def test_a_process_that_is_gone_has_nothing_below_it(find: Any) -> None:
    with subprocess.Popen(["/bin/true"]) as process:
        process.wait()
    assert find(process.pid) == []


def test_ones_own_children_are_found_among_those_of_other_tests() -> None:
    with subprocess.Popen(["/bin/sleep", "600"]) as process:
        assert process.pid in children_of(os.getpid())
        process.kill()


def test_what_somebody_traces_is_left_when_it_is_dead() -> None:
    """It stays a zombie until its tracer lets go of it, however long that takes."""
    script = """
import ctypes
PTRACE_SEIZE = 0x4206
doomed = begin(lambda: time.sleep(600))
told, tell_tracer = os.pipe()
tracer = os.fork()
if tracer == 0:
    failed = ctypes.CDLL(None, use_errno=True).ptrace(PTRACE_SEIZE, doomed, None, None)
    os.write(tell_tracer, b"0" if failed else b"1")
    time.sleep(600)
if os.read(told, 1) == b"1":
    begun = time.monotonic()
    kill_children(spare=[tracer])
    state = pathlib.Path(f"/proc/{doomed}/stat").read_text().rpartition(")")[2].split()[0]
    print(json.dumps([state, time.monotonic() - begun < 10]))
else:
    print(json.dumps(None))
os.kill(tracer, signal.SIGKILL)
"""
    outcome = outcome_of(script, 0)
    if outcome is None:
        pytest.skip("tracing is not allowed here")
    assert outcome == ["Z", True]


def test_one_whose_children_are_hidden_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """/proc may be mounted with hidepid=1."""
    with subprocess.Popen(["/bin/sleep", "600"]) as process:

        def hide(_: str) -> NoReturn:
            raise PermissionError

        monkeypatch.setattr("os.listdir", hide)
        assert process_tree.children_of(process.pid) == []
        process_tree._kill_with_descendants(process.pid)
        assert process.wait(10) == -signal.SIGKILL

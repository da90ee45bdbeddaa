"""Everything below a process is found and killed, however fast it forks and however deep it hides.

Each script runs in a process of its own, because all its children are killed. It adopts the orphans of its children.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from jobqueue.settings import InvalidSetting
from jobqueue.worker.host.process_tree import children_of, descendants_of, require_proc
from tests.support.child_script import output_of

BEGIN = """
import json, os, pathlib, signal, subprocess, threading, time
from jobqueue.worker.host.hardening import adopt_orphans
from jobqueue.worker.host.process_tree import children_of, descendants_of, kill_children, reap_ended
adopt_orphans()
alive_r, alive_w = os.pipe()  # every process holds the write end; end of file means that all are gone
started_r, started_w = os.pipe()  # every process writes its id here
budget_r, budget_w = os.pipe()  # holds a byte for each process that may still be started
os.write(budget_w, b"x" * int(sys.argv[1]))
os.close(budget_w)
os.set_blocking(budget_r, False)
def may_start():
    return os.read(budget_r, 1) != b""
def announce():
    os.write(started_w, b"%d\\n" % os.getpid())
def started(count):
    lines = b""
    while lines.count(b"\\n") < count:
        lines += os.read(started_r, 65536)
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


def value_of(script: str, most_processes: int = 0) -> Any:
    """Run a script in a new process; return the value that it prints as JSON."""
    return json.loads(output_of(BEGIN + script, str(most_processes)))


def test_a_fork_bomb_is_killed() -> None:
    """Every process starts others as fast as it can, half of them in sessions of their own."""
    script = """
def bomb():
    announce()
    while may_start():
        if os.fork() == 0:
            if os.getpid() % 2:
                os.setsid()
            announce()
    time.sleep(600)
begin(bomb)
started(20)
kill_children()
print(json.dumps([gone(), children_of(os.getpid())]))
"""
    assert value_of(script, 500) == [True, []]


def test_a_chain_of_processes_that_each_start_the_next_and_exit_is_killed() -> None:
    script = """
def hop():
    while may_start():
        if os.fork():
            os._exit(0)
        os.setsid()
        announce()
    time.sleep(600)
for _ in range(3):
    begin(hop)
started(10)
kill_children()
print(json.dumps([gone(), children_of(os.getpid())]))
"""
    assert value_of(script, 3000) == [True, []]


def test_a_deep_chain_of_processes_is_killed_to_its_end() -> None:
    script = """
def dig():
    announce()
    while may_start() and os.fork() == 0:
        announce()
    time.sleep(600)
top = begin(dig)
pids = started(101)
found = descendants_of(top)
kill_children()
print(json.dumps([gone(), children_of(os.getpid()), found == pids[:0:-1]]))
"""
    assert value_of(script, 100) == [True, [], True]


def test_daemons_and_stopped_and_deaf_processes_are_killed() -> None:
    script = """
def deaf():
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    announce()
    time.sleep(600)
def stopped():
    announce()
    os.kill(os.getpid(), signal.SIGSTOP)
def daemon():
    os.setsid()
    if os.fork() == 0:
        announce()
        time.sleep(600)
for body in (deaf, stopped, daemon):
    begin(body)
started(3)
kill_children()
print(json.dumps([gone(), children_of(os.getpid())]))
"""
    assert value_of(script) == [True, []]


def test_a_parent_that_replaces_its_children_is_killed_before_them() -> None:
    """It would start another child at the death of each."""
    script = """
def parent():
    def child():
        announce()
        time.sleep(600)
    while may_start():
        begin(child)
        os.wait()
    time.sleep(600)
for _ in range(5):
    begin(parent)
started(5)
kill_children()
print(json.dumps([gone(), children_of(os.getpid()), len(os.read(budget_r, 1000))]))
"""
    assert value_of(script, 100) == [True, [], 95]


def test_spared_children_live_on_with_everything_below_them() -> None:
    script = """
def parent():
    if os.fork() == 0:
        announce()
        time.sleep(600)
    announce()
    time.sleep(600)
spared, doomed = begin(parent), begin(parent)
started(4)
kill_children(spare={spared})
alive = [len(descendants_of(spared)), children_of(os.getpid()) == [spared]]
kill_children()
print(json.dumps([*alive, gone()]))
"""
    assert value_of(script) == [1, True, True]


def test_children_of_every_thread_are_found() -> None:
    script = """
pids = []
def start():
    pids.append(subprocess.Popen(["/bin/sleep", "600"]).pid)
    ready.set()
    time.sleep(600)
ready = threading.Event()
threading.Thread(target=start, daemon=True).start()
ready.wait()
found = children_of(os.getpid()) == pids
kill_children()
print(json.dumps([found, children_of(os.getpid())]), flush=True)
os._exit(0)
"""
    assert value_of(script) == [True, []]


def test_zombies_are_reaped() -> None:
    script = """
for _ in range(20):
    begin(announce)
started(20)
kill_children()
print(json.dumps(children_of(os.getpid())))
"""
    assert value_of(script) == []


def test_only_children_that_have_ended_and_are_not_spared_are_reaped() -> None:
    script = """
ended, spared, living = (subprocess.Popen([*command]) for command in (["true"], ["true"], ["sleep", "600"]))
for child in (ended, spared):
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
reap_ended(spare=[spared.pid])
left = children_of(os.getpid()) == [spared.pid, living.pid]
living.kill()
print(json.dumps(left))
"""
    assert value_of(script) is True


def test_children_are_not_looked_for_as_long_as_none_has_ended() -> None:
    """An idle worker asks every second."""
    script = """
def refuse(*_):
    raise AssertionError("it looks")
living = subprocess.Popen(["sleep", "600"])
listdir, os.listdir = os.listdir, refuse
print(json.dumps(reap_ended(spare=())))
living.kill()
"""
    assert value_of(script) == 0


def test_the_peak_memory_of_the_largest_process_is_returned() -> None:
    script = """
def hold(megabytes):
    held = b"x" * (megabytes << 20)
    announce()
    time.sleep(600)
for megabytes in (1, 150, 20):
    begin(lambda: hold(megabytes))
started(3)
print(json.dumps(kill_children()))
"""
    assert 150 << 20 <= value_of(script) < 250 << 20


def test_killing_children_does_nothing_where_there_are_none() -> None:
    assert value_of("print(json.dumps(kill_children()))") == 0


@pytest.mark.parametrize("find", [children_of, descendants_of])
def test_a_process_that_is_gone_has_no_descendants(find: Any) -> None:
    with subprocess.Popen(["/bin/true"]) as process:
        process.wait()
    assert find(process.pid) == []


def test_the_children_of_this_process_are_found() -> None:
    with subprocess.Popen(["/bin/sleep", "600"]) as process:
        assert process.pid in children_of(os.getpid())
        process.kill()


def test_a_traced_process_is_left_when_it_is_dead() -> None:
    """It stays a zombie until its tracer lets it go, however long that takes."""
    script = """
import ctypes
PTRACE_SEIZE = 0x4206
doomed = begin(lambda: time.sleep(600))
reports, reporting = os.pipe()
tracer = os.fork()
if tracer == 0:
    failed = ctypes.CDLL(None, use_errno=True).ptrace(PTRACE_SEIZE, doomed, None, None)
    os.write(reporting, b"0" if failed else b"1")
    time.sleep(600)
if os.read(reports, 1) == b"1":
    begun = time.monotonic()
    kill_children(spare=[tracer])
    state = pathlib.Path(f"/proc/{doomed}/stat").read_text().rpartition(")")[2].split()[0]
    print(json.dumps([state, time.monotonic() - begun < 10]))
else:
    print(json.dumps(None))
os.kill(tracer, signal.SIGKILL)
"""
    outcome = value_of(script, 0)
    if outcome is None:
        pytest.skip("tracing is not allowed here")
    assert outcome == ["Z", True]


def test_a_process_whose_children_are_hidden_is_killed() -> None:
    """/proc may be mounted with hidepid=1, which shows a process only what belongs to its own user."""
    script = """
def child():
    announce()
    time.sleep(600)
hidden = begin(child)
started(1)
listdir = os.listdir
def hide(path):
    if path.startswith(f"/proc/{os.getpid()}/"):
        return listdir(path)
    raise PermissionError
os.listdir = hide
found = children_of(hidden)
kill_children()
print(json.dumps([found, gone(), children_of(os.getpid())]))
"""
    assert value_of(script) == [[], True, []]


def test_a_proc_that_shows_the_children_of_this_process_is_accepted() -> None:
    require_proc()


def test_a_proc_that_is_not_mounted_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=f"^{tmp_path} is not mounted, or .* mount a proc file system there.$"):
        require_proc(str(tmp_path))


def test_a_proc_of_another_namespace_is_refused(tmp_path: Path) -> None:
    """Its numbers belong to other processes, which must not be killed."""
    (tmp_path / "1/task/1").mkdir(parents=True)
    (tmp_path / "1/task/1/children").touch()
    (tmp_path / "self").symlink_to("1")
    with pytest.raises(InvalidSetting, match="another namespace"):
        require_proc(str(tmp_path))

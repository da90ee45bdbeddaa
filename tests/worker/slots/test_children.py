"""A worker knows its own processes from the orphans that a killed one leaves to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.processes import alive, children, wait_for_pids, wait_until_gone
from tests.support.programs import WITH_ORPHANS, Stage

SCRIPT = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from jobqueue.worker.slots.children import Family
from jobqueue.worker.host.hardening import adopt_orphans
from jobqueue.worker.supervisor.messages import Launch
from jobqueue.worker.slots.slot import Slot, SlotDied
adopt_orphans()
family = Family()
helper = family.start(["/bin/sleep", "600"])
def run(slot, program, pids, directory):
    try:
        slot.run(Launch(program, [pids, "600"], {"PATH": "/usr/bin:/bin"}, directory), threading.Event())
    except SlotDied:
        print("died", flush=True)
for first in (2, 5):
    threading.Thread(target=run, args=(Slot(family), *sys.argv[first:first + 3]), daemon=True).start()
sys.stdin.read()
print(helper.poll(), flush=True)
helper.kill()
"""


def test_what_a_killed_supervisor_leaves_is_swept_and_nothing_else(stage: Stage, tmp_path: Path) -> None:
    """In a process of its own, with two slots and one more child."""
    launches = [stage.launch(WITH_ORPHANS) for _ in range(2)]
    files = [tmp_path / "one", tmp_path / "other"]
    pairs = zip(launches, files, strict=True)
    told = [text for launch, file in pairs for text in (launch.program, str(file), launch.directory)]
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parents[3]), *told]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        first, second = (wait_for_pids(file, 5) for file in files)
        supervisor = next(child for child in children(worker.pid) if set(children(child)) & set(first))
        os.kill(supervisor, signal.SIGKILL)
        assert worker.stdout is not None
        assert worker.stdout.readline() == "died\n"
        wait_until_gone(first)
        assert all(map(alive, second))
        said, _ = worker.communicate("", 20)
        assert said == "None\n"
    wait_until_gone(second)


OLDER = """
sleep 600 &
exec "$@"
"""
SWEEP = """
import os, sys
sys.path.insert(0, sys.argv[1])
from jobqueue.worker.slots.children import Family
from jobqueue.worker.host.process_tree import children_of
family = Family()
before = children_of(os.getpid())
if os.fork() == 0:
    os.execv("/bin/sleep", ["sleep", "600"])
family.sweep()
print(len(before), children_of(os.getpid()) == before)
os.kill(before[0], 9)
"""


def test_what_was_there_before_the_worker_is_nobodys_orphan() -> None:
    """A shell may start other things before it becomes the worker: what takes its log, say."""
    root = str(Path(__file__).parents[3])
    command = ["/bin/sh", "-c", OLDER, "sh", sys.executable, "-c", SWEEP, root]
    assert subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout == "1 True\n"

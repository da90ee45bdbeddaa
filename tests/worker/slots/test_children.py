"""A worker tells its own child processes from the orphans of a killed supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from tests.support.child_script import command, line_from, running
from tests.support.processes import alive, children, wait_for_pids, wait_until_gone
from tests.support.programs import WITH_ORPHANS, Stage

TWO_SLOTS = """
import threading
from jobqueue.worker.isolation import levels
from jobqueue.worker.slots.children import Children
from jobqueue.worker.host.hardening import adopt_orphans
from jobqueue.worker.supervisor.messages import Launch
from jobqueue.worker.slots.slot import Slot, SupervisorDied
adopt_orphans()
children = Children()
helper = children.start(["/bin/sleep", "600"])
def run(slot, program, pids, directory):
    try:
        slot.run(Launch(program, [pids, "600"], {"PATH": "/usr/bin:/bin"}, directory), threading.Event())
    except SupervisorDied:
        print("died", flush=True)
for first in (1, 4):
    slot = Slot(children, levels.make("none", ()), 4096)
    threading.Thread(target=run, args=(slot, *sys.argv[first:first + 3]), daemon=True).start()
sys.stdin.read()
print(helper.poll(), flush=True)
helper.kill()
"""


def test_only_the_orphans_of_a_killed_supervisor_are_killed(stage: Stage, tmp_path: Path) -> None:
    """In a process of its own, with two slots and one more child."""
    launches = [stage.launch(WITH_ORPHANS) for _ in range(2)]
    files = [tmp_path / "one", tmp_path / "other"]
    pairs = zip(launches, files, strict=True)
    arguments = [text for launch, file in pairs for text in (launch.program, str(file), launch.directory)]
    with running(TWO_SLOTS, *arguments) as worker:
        first, second = (wait_for_pids(file, 5) for file in files)
        supervisor = next(child for child in children(worker.pid) if set(children(child)) & set(first))
        os.kill(supervisor, signal.SIGKILL)
        assert line_from(worker) == "died\n"
        wait_until_gone(first)
        assert all(map(alive, second))
        helper_exit_code, _ = worker.communicate("", 20)
        assert helper_exit_code == "None\n"
    wait_until_gone(second)


OLDER = """
sleep 600 &
exec "$@"
"""
SWEEP = """
import os
from jobqueue.worker.slots.children import Children
from jobqueue.worker.host.process_tree import children_of
own = Children()
before = children_of(os.getpid())
if os.fork() == 0:
    os.execv("/bin/sleep", ["sleep", "600"])
own.kill_orphans()
print(len(before), children_of(os.getpid()) == before)
os.kill(before[0], 9)
"""


def test_children_older_than_the_worker_are_not_orphans() -> None:
    """A shell may start other processes before it becomes the worker, such as one that stores its log."""
    shell = ["/bin/sh", "-c", OLDER, "sh", *command(SWEEP)]
    assert subprocess.run(shell, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout == "1 True\n"

"""What the kernel was asked for holds: each test asks it in processes of its own, for it cannot be taken back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobqueue.worker.host.hardening import OF_CONTAINERS, renounce
from tests.support.processes import alive, state, wait_until_gone
from tests.support.waiting import wait_until

ROOT = str(Path(__file__).parents[3])
BEGIN = """
import json, os, signal, subprocess, sys, time
sys.path.insert(0, sys.argv[1])
from jobqueue.worker.host import hardening
def run(program, **options):
    command = [sys.executable, "-IS", "-c", program]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, **options).stdout
"""
SPY = '''
run("""
import os
for name in ("environ", "mem", "fd/1"):
    path = f"/proc/{os.getppid()}/{name}"
    try:
        os.readlink(path) if name == "fd/1" else open(path, "rb").read(0)
    except PermissionError:
        print(name, "closed")
    else:
        print(name, "open")
""").split("\\n")[:-1]
'''
STATUS = 'run("print(open(\'/proc/self/status\').read())").split("\\n")'


def said_by(script: str, before: Callable[[], None] | None = None) -> Any:
    """Return what a script that ends with an expression makes of it, as JSON; `before` is done before it begins."""
    statements, _, expression = script.strip().rpartition("\n# ---\n")
    whole = f"{BEGIN}{statements}\nprint(json.dumps({expression.strip()}))"
    command = [sys.executable, "-c", whole, ROOT]
    ended = subprocess.run(command, stdout=subprocess.PIPE, timeout=60, check=True, preexec_fn=before)
    return json.loads(ended.stdout)


def test_a_process_is_open_to_its_children_at_first_and_closed_once_it_says_so() -> None:
    """Neither of them may trace, or they would be told apart by that."""
    assert said_by(f"\n# ---\n{SPY}", renounce) == ["environ open", "mem open", "fd/1 open"]
    closed = ["environ closed", "mem closed", "fd/1 closed"]
    assert said_by(f"hardening.close_memory()\n# ---\n{SPY}", renounce) == closed


def test_what_is_closed_is_closed_to_a_child_that_has_renounced() -> None:
    script = f"hardening.close_memory()\nhardening.renounce()\n# ---\n{SPY}"
    assert said_by(script) == ["environ closed", "mem closed", "fd/1 closed"]


def test_who_has_renounced_gains_no_rights_by_what_it_starts() -> None:
    lines = said_by(f"hardening.renounce()\n# ---\n{STATUS}")
    told = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert told["NoNewPrivs"] == "1"
    if os.geteuid() == 0:
        of_containers = sum(1 << capability for capability in OF_CONTAINERS)
        assert int(told["CapBnd"], 16) & ~of_containers == 0
        assert int(told["CapEff"], 16) & ~of_containers == 0


LIMITS = 'run("import resource as r; print([*r.getrlimit(r.RLIMIT_NOFILE), *r.getrlimit(r.RLIMIT_CORE)])")'


def test_what_is_started_has_a_limit_of_open_files_and_leaves_no_core_dumps() -> None:
    assert json.loads(said_by(f"hardening.limit(64)\n# ---\n{LIMITS}")) == [64, 64, 0, 0]


def test_a_limit_above_what_is_allowed_is_what_is_allowed() -> None:
    lower = "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (50, 100))\nhardening.limit(4096)"
    assert json.loads(said_by(f"{lower}\n# ---\n{LIMITS}")) == [100, 100, 0, 0]


def test_an_open_file_too_many_is_refused() -> None:
    script = "import json\nprint(json.dumps(sum(1 for _ in open_all())))"
    opening = "def open_all():\n    import os\n    try:\n        while True: yield os.open('/dev/null', 0)\n"
    opening += "    except OSError: pass\n"
    assert json.loads(said_by(f"hardening.limit(64)\n# ---\nrun({opening + script!r})")) == 64 - 3


YIELD = "score = hardening.oom_score_of_jobs(); yield_ = lambda: hardening.yield_to_the_worker(score)"


def test_a_child_is_the_first_to_go_when_memory_runs_out_and_the_last_to_be_served() -> None:
    look = "import os; print([int(open('/proc/self/oom_score_adj').read()), os.nice(0)])"
    script = f"hardening.close_memory()\n{YIELD}\n# ---\nrun({look!r}, preexec_fn=yield_)"
    assert json.loads(said_by(script)) == [500, os.nice(0) + 5]


def test_a_child_is_never_spared_more_than_its_worker_is() -> None:
    """Some platforms give everybody the highest score; lowering it back to ours would take a capability."""
    look = "print(open('/proc/self/oom_score_adj').read())"
    raised = "open('/proc/self/oom_score_adj', 'w').write('800')"
    script = f"{raised}\n{YIELD}\n# ---\nrun({look!r}, preexec_fn=yield_)"
    assert json.loads(said_by(script)) == 800


def test_orphans_come_to_who_adopts_them() -> None:
    orphans = """
import pathlib
hardening.adopt_orphans()
middle = "import os, subprocess; print(subprocess.Popen(['/bin/sleep', '600'], stdout=subprocess.DEVNULL).pid)"
orphan = int(run(middle))
parent = int(pathlib.Path(f"/proc/{orphan}/stat").read_text().rpartition(")")[2].split()[1])
os.kill(orphan, signal.SIGKILL)
# ---
parent == os.getpid()
"""
    assert said_by(orphans)
    assert not said_by(orphans.replace("hardening.adopt_orphans()", ""))


PARENT = """
import functools
child = subprocess.Popen(["/bin/sleep", "600"], preexec_fn={preexec})
print(child.pid, flush=True)
sys.stdin.read()
"""


def child_of_killed(preexec: str, stop: bool = False) -> int:
    """Return the process id of a child whose parent was killed."""
    command, pipe = [sys.executable, "-c", BEGIN + PARENT.format(preexec=preexec), ROOT], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        if stop:
            os.kill(child, signal.SIGSTOP)
            wait_until("it is stopped", lambda: state(child) == "T")
        parent.kill()
    return child


def test_a_child_that_dies_with_its_parent_does() -> None:
    wait_until_gone([child_of_killed("functools.partial(hardening.die_with, os.getpid())")])


def test_a_child_whose_parent_died_before_it_could_say_so_ends() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", f"{BEGIN}hardening.die_with(os.getppid() + 1)\nsys.exit(0)", ROOT]
    ) as orphan:
        assert orphan.wait(20) == 1


def test_a_child_that_is_stopped_goes_on_when_its_parent_dies() -> None:
    child = child_of_killed("hardening.wake_with_parent", stop=True)
    try:
        wait_until("it goes on", lambda: state(child) not in ("T", ""))
        assert alive(child)
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.skipif(os.geteuid() != 0, reason="root it is that could trace everybody")
def test_root_is_told_from_others() -> None:
    assert said_by("\n# ---\nhardening.is_root()")
    assert not said_by("os.seteuid(65534)\n# ---\nhardening.is_root()")

"""The kernel settings take effect. Each test makes them in a process of its own, because they cannot be undone."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from jobqueue.worker.host.hardening import OF_CONTAINERS, renounce
from tests.support.child_script import line_from, output_of, running
from tests.support.processes import alive, state, wait_until_gone
from tests.support.waiting import wait_until

BEGIN = """
import json, os, signal, subprocess, time
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


def value_of(script: str, before: Callable[[], None] | None = None) -> Any:
    """Run a script in a new process, after `before`, and return the value of the expression below its `# ---`."""
    statements, _, expression = script.strip().rpartition("\n# ---\n")
    whole = f"{BEGIN}{statements}\nprint(json.dumps({expression.strip()}))"
    return json.loads(output_of(whole, before=before))


def test_close_memory_denies_children_access_to_their_parent() -> None:
    """Both processes renounce first: with the right to trace, root's child would see what is closed, too."""
    assert value_of(f"\n# ---\n{SPY}", renounce) == ["environ open", "mem open", "fd/1 open"]
    closed = ["environ closed", "mem closed", "fd/1 closed"]
    assert value_of(f"hardening.close_memory()\n# ---\n{SPY}", renounce) == closed


def test_close_memory_holds_against_children_of_root_after_renounce() -> None:
    script = f"hardening.close_memory()\nhardening.renounce()\n# ---\n{SPY}"
    assert value_of(script) == ["environ closed", "mem closed", "fd/1 closed"]


def test_programs_started_after_renounce_gain_no_rights() -> None:
    lines = value_of(f"hardening.renounce()\n# ---\n{STATUS}")
    fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert fields["NoNewPrivs"] == "1"
    if os.geteuid() == 0:
        of_containers = sum(1 << capability for capability in OF_CONTAINERS)
        assert int(fields["CapBnd"], 16) & ~of_containers == 0
        assert int(fields["CapEff"], 16) & ~of_containers == 0


LIMITS = 'run("import resource as r; print([*r.getrlimit(r.RLIMIT_NOFILE), *r.getrlimit(r.RLIMIT_CORE)])")'


def test_programs_have_a_limit_of_open_files_and_leave_no_core_dumps() -> None:
    assert json.loads(value_of(f"hardening.limit(64)\n# ---\n{LIMITS}")) == [64, 64, 0, 0]


def test_a_limit_above_the_hard_limit_is_lowered_to_it() -> None:
    lower = "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (50, 100))\nhardening.limit(4096)"
    assert json.loads(value_of(f"{lower}\n# ---\n{LIMITS}")) == [100, 100, 0, 0]


def test_an_open_file_too_many_is_refused() -> None:
    script = "import json\nprint(json.dumps(sum(1 for _ in open_all())))"
    opening = "def open_all():\n    import os\n    try:\n        while True: yield os.open('/dev/null', 0)\n"
    opening += "    except OSError: pass\n"
    assert json.loads(value_of(f"hardening.limit(64)\n# ---\nrun({opening + script!r})")) == 64 - 3


YIELD = "score = hardening.oom_score_of_jobs(); yield_ = lambda: hardening.yield_to_the_worker(score)"


def test_a_child_yields_memory_and_processors_to_the_worker() -> None:
    look = "import os; print([int(open('/proc/self/oom_score_adj').read()), os.nice(0)])"
    script = f"hardening.close_memory()\n{YIELD}\n# ---\nrun({look!r}, preexec_fn=yield_)"
    assert json.loads(value_of(script)) == [500, os.nice(0) + 5]


def test_a_child_never_has_a_lower_oom_score_than_the_worker() -> None:
    """Some platforms give every process a high score. Lowering it to ours would take a capability."""
    look = "print(open('/proc/self/oom_score_adj').read())"
    raised = "open('/proc/self/oom_score_adj', 'w').write('800')"
    script = f"{raised}\n{YIELD}\n# ---\nrun({look!r}, preexec_fn=yield_)"
    assert json.loads(value_of(script)) == 800


def test_a_process_that_adopts_orphans_becomes_their_parent() -> None:
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
    assert value_of(orphans)
    assert not value_of(orphans.replace("hardening.adopt_orphans()", ""))


PARENT = """
import functools
child = subprocess.Popen(["/bin/sleep", "600"], preexec_fn={preexec})
print(child.pid, flush=True)
sys.stdin.read()
"""


def child_of_killed(preexec: str, stop: bool = False) -> int:
    """Return the process id of a child whose parent was killed; it is stopped first, if asked for."""
    with running(BEGIN + PARENT.format(preexec=preexec)) as parent:
        child = int(line_from(parent))
        if stop:
            os.kill(child, signal.SIGSTOP)
            wait_until("the child is stopped", lambda: state(child) == "T")
    return child


def test_a_child_that_shall_die_with_its_parent_is_killed() -> None:
    wait_until_gone([child_of_killed("functools.partial(hardening.die_with, os.getpid())")])


def test_a_child_whose_parent_died_before_the_setting_exits() -> None:
    with running(f"{BEGIN}hardening.die_with(os.getppid() + 1)\nsys.exit(0)") as orphan:
        assert orphan.wait(20) == 1


def test_a_stopped_child_is_continued_when_its_parent_dies() -> None:
    child = child_of_killed("hardening.wake_with_parent", stop=True)
    try:
        wait_until("the child goes on", lambda: state(child) not in ("T", ""))
        assert alive(child)
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.skipif(os.geteuid() != 0, reason="this process is not root")
def test_root_is_recognized() -> None:
    assert value_of("\n# ---\nhardening.is_root()")
    assert not value_of("os.seteuid(65534)\n# ---\nhardening.is_root()")

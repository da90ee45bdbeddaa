"""Every child process is started in one place, which gives it nothing of the worker's environment."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator

import pytest

from jobqueue.worker.host import child_process
from tests.support.paths import ROOT

WORKER = ROOT / "jobqueue/worker"
STARTING = {"Popen", "run", "call", "check_call", "check_output", "getoutput", "getstatusoutput"}
OF_OS = ("exec", "spawn", "posix_spawn", "fork", "system", "popen")


def starts_of_processes(source: str) -> Iterator[str]:
    """Yield each call in a source that starts a process: of subprocess, asyncio, multiprocessing or os."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module in ("subprocess", "multiprocessing", "os", "pty"):
            yield from (each.name for each in node.names if each.name in STARTING or each.name.startswith(OF_OS))
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name in ("multiprocessing", "pty"))
        if isinstance(node, ast.Call) and isinstance(function := node.func, ast.Attribute):
            owner = function.value.id if isinstance(function.value, ast.Name) else ""
            if owner == "subprocess" and function.attr in STARTING:
                yield f"subprocess.{function.attr}"
            if (owner == "os" and function.attr.startswith(OF_OS)) or function.attr.startswith("create_subprocess"):
                yield f"{owner}.{function.attr}"


def test_the_worker_starts_processes_in_one_place_only() -> None:
    found = {
        str(path.relative_to(WORKER)): calls
        for path in WORKER.rglob("*.py")
        if (calls := list(starts_of_processes(path.read_text())))
    }
    assert found == {"host/child_process.py": ["subprocess.Popen"]}


@pytest.mark.parametrize(
    "source",
    [
        "import subprocess\nsubprocess.run(['rm'])",
        "from subprocess import Popen",
        "import os\nos.execv('/bin/rm', [])",
        "import os\nos.posix_spawn('/bin/rm', [], {})",
        "import os\nos.system('rm')",
        "import multiprocessing",
        "import asyncio\nasyncio.create_subprocess_exec('rm')",
    ],
)
def test_a_process_that_is_started_elsewhere_is_found(source: str) -> None:
    assert list(starts_of_processes(source))


def test_a_process_of_the_worker_gets_a_path_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", "secret")
    with child_process.start(["cat", "/proc/self/environ"], child_process.helper_environment(), stdout=-1) as process:
        variables = process.communicate()[0].decode().split("\0")
    assert sorted(each.partition("=")[0] for each in variables if each) == ["LANG", "PATH"]


def test_a_process_of_the_worker_is_in_no_terminals_reach() -> None:
    with child_process.start(["cat", "/proc/self/stat"], {}, stdout=-1) as process:
        fields = process.communicate()[0].rpartition(b")")[2].split()
    group, session = map(int, fields[2:4])
    assert group == session == process.pid != os.getsid(0)

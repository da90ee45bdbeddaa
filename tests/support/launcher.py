"""`make run` without make: in a copy of the project, so that its data is a test's own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

import requests

from tests.support.deployment import PATH, ROOT, free_port
from tests.support.processes import alive, family
from tests.support.waiting import wait_until


def copy_project(folder: Path) -> Path:
    """Return a copy of what runs: the folder it is started in decides where its data lies."""
    copy = folder / "project"
    copy.mkdir()
    for path in [*ROOT.glob("*.py"), *(ROOT / name for name in ("jobqueue", "local", "lua"))]:
        if path.is_dir():
            copytree(path, copy / path.name)
        else:
            (copy / path.name).write_bytes(path.read_bytes())
    (copy / "tmp").mkdir()
    return copy


def variables(project: Path, port: int) -> dict[str, str]:
    """Return the environment of everything that is started in a project."""
    return {"PATH": PATH, "TMPDIR": str(project / "tmp"), "PORT": str(port)}


def run_once(project: Path, module: str, port: int, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a module of `local` to its end."""
    environment = variables(project, port) | more
    command = [sys.executable, "-m", f"jobqueue.local.{module}"]
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@dataclass
class Running:
    """Everything, running."""

    process: subprocess.Popen[bytes]
    project: Path
    port: int
    log: Path

    @property
    def api_url(self) -> str:
        """Where the API is."""
        return f"http://127.0.0.1:{self.port}/api/v1"

    def lines(self) -> list[str]:
        """Return what was printed so far."""
        return self.log.read_text().splitlines()

    def printed(self, text: str) -> bool:
        """Whether a line says that."""
        return text in self.log.read_text()

    def healthy(self) -> bool:
        """Whether the API answers that it is."""
        try:
            return requests.get(f"{self.api_url}/health", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def everybody(self) -> list[int]:
        """Return the process ids of all that runs."""
        return family(self.process.pid)

    def find(self, *words: str) -> int:
        """Return the process id of our child whose command line has these words."""
        for pid in self.everybody()[1:]:
            command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            if all(any(word in part for part in command) for word in words):
                return pid
        raise AssertionError(words)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask all to stop; return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def running(project: Path, more: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Everything, started in that project; killed at the end if it has not gone by itself."""
    port = free_port()
    log = project / f"printed-{port}"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "jobqueue.local.run"],
            cwd=project,
            env=variables(project, port) | dict(more or {}),
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    everything = Running(process, project, port, log)
    seen: set[int] = set()
    try:
        wait_until("the API is healthy", everything.healthy, 40)
        wait_until("the worker works", lambda: everything.printed("event=worker_started"), 40)
        yield everything
    finally:
        seen.update(everything.everybody())
        for pid in filter(alive, seen):
            os.kill(pid, signal.SIGKILL)
        process.wait()

"""Starts `make run` and `make demo` without make, in an empty directory: the one that the data goes to."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import requests

from jobqueue.local.run import free_port
from jobqueue.worker.host.hardening import LAST_CAPABILITY, LIBC, PR_CAPBSET_DROP
from tests.support.paths import PATH, ROOT
from tests.support.processes import family
from tests.support.service import Service
from tests.support.waiting import wait_until

RUN = "jobqueue.local.run"
DEMO = "examples.demo"
TEMPORARY = "tmp"
START_SECONDS = 40


def make_directory(parent: Path) -> Path:
    """Return a directory to start the launcher in. It holds nothing but an empty directory for temporary files."""
    directory = parent / "launched"
    (directory / TEMPORARY).mkdir(parents=True)
    return directory


def command(module: str) -> list[str]:
    """Return the command that runs a module."""
    return [sys.executable, "-m", module]


def variables(directory: Path, port: int) -> dict[str, str]:
    """Return the environment of a launcher; it finds `jobqueue` as if that were installed."""
    return {"PATH": PATH, "PYTHONPATH": str(ROOT), "TMPDIR": str(directory / TEMPORARY), "PORT": str(port)}


def run_once(directory: Path, module: str, port: int, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a module to its end."""
    environment = variables(directory, port) | more
    return subprocess.run(
        command(module), cwd=directory, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@dataclass
class Running:
    """A launcher and all that it has started."""

    process: subprocess.Popen[bytes]
    directory: Path
    port: int
    log: Path

    @property
    def api_url(self) -> str:
        """The URL of the API."""
        return f"http://127.0.0.1:{self.port}/api/v1"

    def lines(self) -> list[str]:
        """Return the lines printed so far."""
        return self.log.read_text().splitlines()

    def printed(self, text: str) -> bool:
        """Whether the text has been printed."""
        return text in self.log.read_text()

    def healthy(self) -> bool:
        """Whether the API says that it is healthy."""
        try:
            return requests.get(f"{self.api_url}/health", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def processes(self) -> list[int]:
        """Return the process ids of the launcher and all its descendants, the launcher's first."""
        return family(self.process.pid)

    def find(self, word: str) -> int:
        """Return the process id of the first descendant with that word in its command line."""
        for pid in self.processes()[1:]:
            if word in Path(f"/proc/{pid}/cmdline").read_text():
                return pid
        raise AssertionError(word)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask the launcher to stop; return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


def _renounce_all() -> None:
    """Renounce every capability, so that tests run by root try what an ordinary user would see."""
    for capability in range(LAST_CAPABILITY + 1):
        LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


@contextmanager
def running(directory: Path, more: Mapping[str, str] | None = None) -> Iterator[Running]:
    """A launcher whose API and worker are ready. What is left of it at the end is killed."""
    log = directory / f"printed-{time.monotonic_ns()}"
    with log.open("wb") as file, launched(directory, file, log, more) as launcher:
        wait_until("the API is healthy", launcher.healthy, START_SECONDS)
        wait_until("the worker has started", lambda: launcher.printed("event=worker_started"), START_SECONDS)
        yield launcher


@contextmanager
def launched(
    directory: Path, output: IO[bytes] | int, log: Path, more: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """A launcher that has just been started and prints there. What is left of it at the end is killed."""
    port = free_port()
    process = subprocess.Popen(
        command(RUN),
        cwd=directory,
        env=variables(directory, port) | dict(more or {}),
        stdout=output,
        stderr=subprocess.STDOUT,
        preexec_fn=_renounce_all,  # noqa: PLW1509  # it takes no lock that another thread may hold
    )
    launcher = Running(process, directory, port, log)
    try:
        yield launcher
    finally:
        Service(process, log).kill_whole()

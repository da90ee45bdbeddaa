"""Servers, workers, program host and relays of a run, as a platform would keep them running."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.fault_run.history import History
from tests.fault_run.programs import PROGRAM
from tests.fault_run.relay import Relays
from tests.fault_run.store import Store
from tests.support.deployment import own_directories
from tests.support.fake_server import FakeServer, Reply, Request, serving
from tests.support.service import Service
from tests.support.serving import PREFIX, running_api

LEASE_SECONDS = 3.0
SERVERS = 2
WORKERS = 3
SLOTS = 2
SMALL_DISK_BYTES = 64 * 1024**2
METRICS = "metrics"
"""The directory of a server that keeps its counts of requests."""

PATIENT = {"MAX_ATTEMPTS": "50", "MAX_HOST_FAULTS": "50", "DOWNLOAD_RETRY_SECONDS": "10"}
"""No job may fail because of what the run does to its executors."""


class Stage:
    """Everything that runs. What is killed here is started again here, as systemd or Heroku would."""

    def __init__(self, folder: Path, history: History) -> None:
        self.folder = folder
        self.history = history
        self.over = threading.Event()
        """Set when the faults are to end."""
        self.small_disks: list[Path] = []
        """Directories on a file system of their own that a fault may fill: that of the last server and last worker."""
        self.lines = folder / "lines"
        """What the programs of jobs wrote while they ran."""
        self.program_host_away = threading.Event()
        self._stack = ExitStack()
        self._keeping = threading.Lock()
        """Held while a process is replaced, so that nobody takes a killed one for one that has ended by itself."""

    def __enter__(self) -> Stage:
        with ExitStack() as stack:
            relays = Relays()
            stack.callback(relays.close)
            self.store = Store(self.folder, relays)
            stack.callback(self.store.close)
            self.host: FakeServer = stack.enter_context(serving(self._serve_program))
            folders = [self._folder(f"server-{number}", number == SERVERS - 1, stack) for number in range(SERVERS)]
            settings = {"REDIS_URL": self.store.url, "HEARTBEAT_TIMEOUT_SECONDS": str(LEASE_SECONDS), **PATIENT}
            self.servers = [
                stack.enter_context(running_api(each, **settings, PROMETHEUS_MULTIPROC_DIR=str(each / METRICS)))
                for each in folders
            ]
            self.links = [relays.open(server.port) for server in self.servers]
            self._worker_folders = [
                self._folder(f"worker-{number}", number == WORKERS - 1, stack) for number in range(WORKERS)
            ]
            self.workers = [self._start_worker(number) for number in range(WORKERS)]
            stack.callback(self._kill_workers)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def pause(self, seconds: float) -> None:
        """Wait so long, or until the faults are to end."""
        self.over.wait(seconds)

    def kill_worker(self, number: int) -> None:
        """Kill a worker without a warning, and start it again."""
        with self._keeping:
            self.workers[number].kill()
            self.workers[number] = self._start_worker(number)

    def kill_server(self, number: int) -> None:
        """Kill the process of a server that started the others, and start it again."""
        server = self.servers[number]
        with self._keeping:
            server.process.kill()
            server.process.wait()
            server.launch()

    def look_after(self) -> None:
        """Note every process that has ended by itself, and start it again so that the run can go on."""
        with self._keeping:
            for number, worker in enumerate(self.workers):
                if (code := worker.process.poll()) is not None:
                    self.history.unexpected.append(f"worker {number} ended by itself with code {code}")
                    self.workers[number] = self._start_worker(number)
            for number, server in enumerate(self.servers):
                if (code := server.process.poll()) is not None:
                    self.history.unexpected.append(f"server {number} ended by itself with code {code}")
                    server.launch()

    def _kill_workers(self) -> None:
        for worker in self.workers:
            worker.kill_whole()

    def _start_worker(self, number: int) -> Service:
        settings = {
            "API_URL": f"http://127.0.0.1:{self.links[number % SERVERS].port}{PREFIX}",
            "SLOTS": str(SLOTS),
            **own_directories(self._worker_folders[number]),
            "DOWNLOAD_RETRY_SECONDS": PATIENT["DOWNLOAD_RETRY_SECONDS"],
        }
        # The log is elsewhere: without it nobody could tell why a worker on a full disk ended.
        return Service.start(["worker.py"], self.folder, f"worker-{number}", settings)

    def _serve_program(self, _: Request) -> Reply:
        return Reply(503) if self.program_host_away.is_set() else Reply(body=PROGRAM)

    def _folder(self, name: str, small: bool, stack: ExitStack) -> Path:
        folder = self.folder / f"{name}.d"
        folder.mkdir()
        if small and os.geteuid() == 0:
            command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_BYTES},mode=700", "tmpfs", str(folder)]
            if subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0:
                stack.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=False)
                self.small_disks.append(folder)
        return folder


def fill(folder: Path) -> Path:
    """Write a file until the file system is full; return it."""
    path = folder / "filler"
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(1024**2)):
            pass
    with suppress(OSError), path.open("ab", buffering=0) as file:  # the last blocks, which a large write did not fit in
        while file.write(bytes(512)):
            pass
    return path


def remove_metrics(folder: Path) -> None:
    """Do what a cleaner of temporary files does to the directory in which a server keeps its metrics."""
    shutil.rmtree(folder / METRICS, ignore_errors=True)

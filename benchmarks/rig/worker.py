"""The worker, started as users start it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.rig.children import Process, running, wait_until
from benchmarks.rig.servers import Server
from jobqueue.local import variables

NAME = "benchmark-worker"


@contextmanager
def running_worker(server: Server, folder: Path, slots: int, name: str = NAME) -> Iterator[Process]:
    """Start a worker with directories of its own, its log in a file; yields when it is about to claim.

    ISOLATION and the other settings of the worker are those of this process's environment, else the worker's defaults.
    """
    own = folder / name
    own.mkdir(exist_ok=True)
    chosen = {"ISOLATION": "none", **os.environ, "SLOTS": str(slots), "TMPDIR": str(own), "EXECUTOR_ID": name}
    settings = variables.of_worker(chosen, server.url, own)
    log = folder / f"{name}.log"
    log.unlink(missing_ok=True)
    with running([sys.executable, "-m", "jobqueue.worker.main"], settings, log) as process:
        wait_until("the worker has started", lambda: "event=worker_started" in log.read_text(errors="replace"))
        yield process

"""The worker's end of a supervisor: a place where one job at a time can run."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from jobqueue.worker.process import Launch
from jobqueue.worker.supervisor import Outcome

CODE = Path(__file__).parents[2]
BOOT = """
import sys
sys.path.insert(0, sys.argv[1])
from jobqueue.worker import supervisor
supervisor.main(int(sys.argv[2]))
"""


class SlotDied(Exception):
    """The supervisor is gone, and the program with it. The job is not to blame; the next run gets a new supervisor."""


class Slot:
    """Runs programs through a resident process. `run` is for one thread at a time, `stop` for any."""

    def __init__(self, on_death: Callable[[], None] = lambda: None) -> None:
        """`on_death` is called when the supervisor was killed: what its program had started may still be there."""
        self._on_death = on_death
        self._lock = threading.Lock()
        self._running = False
        self._start()

    def run(self, launch: Launch, stopped: threading.Event) -> Outcome:
        """Run a program to its end, or until `stop`; not at all when `stopped` is set. Raises SlotDied."""
        with self._lock:
            if stopped.is_set():
                return Outcome(stopped=True)
            if self._file.closed:  # the last one died, and no other could be started then
                self._start()
            self._running = True
            self._send({"launch": asdict(launch)})
        answer = self._file.readline()
        with self._lock:
            self._running = False
        if not answer.endswith(b"\n"):
            self.close()
            self._on_death()
            self._start()
            raise SlotDied
        return Outcome(**json.loads(answer)["outcome"])

    def stop(self) -> None:
        """Kill the program that runs, if any, and all it started."""
        with self._lock:
            if self._running:
                self._send({"stop": True})

    def close(self) -> None:
        """End the supervisor; returns when it and its program are gone."""
        self._file.close()
        self._control.close()
        self._process.wait()

    def _start(self) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", BOOT, str(CODE), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={"PATH": os.defpath, "LANG": "C.UTF-8"},  # none of the worker's own secrets
            )
        self._file = self._control.makefile("rb")

    def _send(self, message: dict[str, object]) -> None:
        try:
            self._control.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return  # the reader of the answer finds the socket closed

"""The worker's end of a supervisor: a place where one job at a time can run."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jobqueue.worker import isolation
from jobqueue.worker.family import Family
from jobqueue.worker.isolation import Isolation
from jobqueue.worker.outcome import Outcome
from jobqueue.worker.outputs import Outputs
from jobqueue.worker.process import Launch, Usage

CODE = Path(__file__).parents[2]
BOOT = """
import sys
sys.path.insert(0, sys.argv[1])
from jobqueue.worker import supervisor
supervisor.main(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
"""
OVERDUE_SECONDS = 10.0
"""How much longer than its program may take a supervisor may. One that does not answer then (a program of the same user
can stop it) is killed.
"""

OPEN_FILES = 4096
LOOK_UP_MS = 1000
RECEIVED_AT_A_TIME = 256 * 1024

Show = Callable[[dict[str, Any]], None]
"""Takes what is new of the outputs: by stream None, or where it goes on and the text."""


class SlotDied(Exception):
    """The supervisor is gone, and the program with it; the next run gets a new one. Once its program had `begun`, that
    may have been what killed it.
    """

    def __init__(self, begun: bool) -> None:
        super().__init__("the supervisor of this slot was killed, or did not answer and was")
        self.begun = begun


class Slot:
    """Runs programs through a resident process. `run` is for one thread at a time, `stop` for any."""

    def __init__(
        self, family: Family | None = None, confined: Isolation | None = None, open_files: int = OPEN_FILES
    ) -> None:
        """`confined` is how the programs are, `open_files` how many files each of their processes may have open."""
        self.isolation = confined or isolation.make("none", ())
        self._family = family or Family(lambda _: None)
        self._open_files = open_files
        self._lock = threading.Lock()
        self._running: threading.Event | None = None
        self._begun = self._closed = False
        self._overdue_at: float | None = None
        self._fds: list[int] = []
        self._process: subprocess.Popen[bytes]
        self._start()

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self._process.pid

    def run(self, launch: Launch, stopped: threading.Event, show: Show = lambda _: None) -> Outcome:
        """Run a program to its end, or until `stop`; not at all when `stopped` is set. Raises SlotDied."""
        with self._lock:
            if stopped.is_set():
                return Outcome(stopped=True)
            if self._closed:
                raise SlotDied(begun=False)
            if self._process.poll() is not None:
                self._replace()
            self._running = stopped
            self._begun = False
            self._overdue_at = None
            if launch.timeout_seconds is not None:
                self._expect_end_within(launch.timeout_seconds + launch.kill_grace_seconds)
            self._send({"launch": asdict(launch)})
        outcome = self._await_outcome(show)
        with self._lock:
            self._running = None
            if outcome is None and not self._closed:
                self._replace()
        if outcome is None:
            raise SlotDied(self._begun)
        return outcome

    def stop(self, grace_seconds: float = 0.0, run: threading.Event | None = None) -> None:
        """End the program that runs, if any, and all it started: asked to first when there is a grace, then killed.

        `run` is the event that the run to be ended was given: another one that has begun since is let alone.
        """
        with self._lock:
            if self._running is not None and run in (None, self._running):
                self._expect_end_within(grace_seconds)
                self._send({"stop": {"grace_seconds": grace_seconds}})

    def hang_up(self) -> None:
        """Let the supervisor end, with its program; `close` waits for it."""
        with self._lock:
            self._closed = True
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)

    def close(self, within_seconds: float = OVERDUE_SECONDS) -> None:
        """End the supervisor, by force after that time; returns when it and all that its program started are gone."""
        self.hang_up()
        self._end(within_seconds)

    def _replace(self) -> None:
        """Start another supervisor in place of one that is gone."""
        self._end(0)
        self._start()

    def _end(self, within_seconds: float) -> None:
        try:
            self._process.wait(within_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._family.wait(self._process)
        self._control.close()
        self._family.sweep()
        for fd in self._fds:
            os.close(fd)
        self._fds = []

    def _start(self) -> None:
        self._control, theirs = socket.socketpair()
        self._unfinished = b""
        told = [str(theirs.fileno()), json.dumps(self.isolation.describe()), str(self._open_files)]
        with theirs:
            self._process = self._family.start(
                [sys.executable, "-I", "-c", BOOT, str(CODE), *told],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},  # none of the worker's secrets
            )

    def _expect_end_within(self, seconds: float) -> None:
        overdue_at = time.monotonic() + seconds + OVERDUE_SECONDS
        self._overdue_at = overdue_at if self._overdue_at is None else min(overdue_at, self._overdue_at)

    def _await_outcome(self, show: Show) -> Outcome | None:
        """Return the outcome, None when none will come."""
        while (line := self._next_line()) is not None:
            message = json.loads(line)
            if "begun" in message:
                self._begun = True
            elif "live" in message:
                show(message["live"])
            else:
                return _outcome(message, self._fds)
        return None

    def _next_line(self) -> bytes | None:
        """Return the next line, None when the supervisor is gone. One that is overdue is killed."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        while b"\n" not in self._unfinished:
            if not poll.poll(LOOK_UP_MS):
                if self._overdue_at is not None and time.monotonic() > self._overdue_at:
                    self._process.kill()
                continue
            try:
                received, fds, _, _ = socket.recv_fds(self._control, RECEIVED_AT_A_TIME, 1, socket.MSG_CMSG_CLOEXEC)
            except OSError:
                return None
            if not received:
                return None
            self._fds += fds
            self._unfinished += received
        line, _, self._unfinished = self._unfinished.partition(b"\n")
        return line

    def _send(self, message: dict[str, object]) -> None:
        try:
            self._control.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return  # the reader of the answer finds the socket closed


def _outcome(message: dict[str, Any], fds: list[int]) -> Outcome:
    told = message["outcome"]
    if told["usage"]:
        told["usage"] = Usage(**told["usage"])
    return Outcome(**told, outputs=Outputs(fds.pop()) if message["outputs"] else None)

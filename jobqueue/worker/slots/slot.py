"""The worker's end of a supervisor: a place where one job at a time can run."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from jobqueue.job import Measured
from jobqueue.worker.isolation import levels
from jobqueue.worker.isolation.levels import Isolation
from jobqueue.worker.slots import spawn
from jobqueue.worker.slots.children import Family
from jobqueue.worker.slots.waker import Wake
from jobqueue.worker.supervisor.messages import Launch, Outcome
from jobqueue.worker.supervisor.output_file import Outputs

OVERDUE_SECONDS = 10.0
"""How much longer than its program may take a supervisor may. One that does not answer then (a program of the same user
can stop it) is killed.
"""

OPEN_FILES = 4096
LOOK_UP_MS = 1000

TAKING_SECONDS = 5.0
"""How long a supervisor may take to read what it is told."""

MOST_RESUMES = 10
"""How often a supervisor that was stopped is continued in a run, a look-up apart, before it is killed."""
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
        self.isolation = confined or levels.make("none", ())
        self._family = family or Family(lambda _: None)
        self._open_files = open_files
        self._lock = threading.Lock()
        self._replacing = threading.Lock()
        self._running: threading.Event | None = None
        self._grace_seconds: float | None = None
        self._wake = Wake()
        self._begun = self._closed = False
        self._overdue_at: float | None = None
        self._resumes = 0
        self._fds: list[int] = []
        self._process: subprocess.Popen[bytes]
        self._start()

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self._process.pid

    def run(self, launch: Launch, stopped: threading.Event, show: Show = lambda _: None) -> Outcome:
        """Run a program to its end, or until `stop`; not at all when `stopped` is set. Raises SlotDied."""
        if self._process.poll() is not None and not stopped.is_set():
            self._replace()
        with self._lock:
            if stopped.is_set():
                return Outcome(stopped=True)
            if self._closed:
                raise SlotDied(begun=False)
            self._running = stopped
            self._grace_seconds = self._overdue_at = None
            self._wake.clear()
            if launch.timeout_seconds is not None:
                self._expect_end_within(launch.timeout_seconds + launch.kill_grace_seconds)
        try:
            outcome = self._converse(launch, show)
        finally:
            with self._lock:
                self._running = None
                self._forget_wake()
        if outcome is None:
            with suppress(OSError):  # the next run tries again, and is told
                self._replace()
            raise SlotDied(self._begun)
        return outcome

    def stop(self, grace_seconds: float = 0.0, run: threading.Event | None = None) -> None:
        """End the program that runs, if any, and all it started: asked to first when there is a grace, then killed.

        `run` is the event that the run to be ended was given: another one that has begun since is let alone. Does not
        wait: the thread in `run` tells the supervisor.
        """
        with self._lock:
            if self._running is not None and run in (None, self._running):
                self._expect_end_within(grace_seconds)
                self._grace_seconds = grace_seconds
                self._wake.set()

    def hang_up(self) -> None:
        """Let the supervisor end, with its program; `close` waits for it."""
        with self._lock:
            self._closed = True
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)

    def close(self, within_seconds: float = OVERDUE_SECONDS) -> None:
        """End the supervisor, by force after that time; returns when it and all that its program started are gone."""
        self.hang_up()
        with self._replacing:
            self._end(within_seconds)
        with self._lock:
            self._forget_wake()

    def _replace(self) -> None:
        """Start another supervisor in place of one that is gone, unless none is wanted any more."""
        with self._replacing:
            if not self._closed:
                self._end(0)
                self._start()

    def _forget_wake(self) -> None:
        """Close what wakes the thread in `run` once there will be none."""
        if self._closed and self._running is None:
            self._wake.close()

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
        self._process, self._control = spawn.start(self._family, self.isolation, self._open_files)
        self._unfinished = b""

    def _expect_end_within(self, seconds: float) -> None:
        overdue_at = time.monotonic() + seconds + OVERDUE_SECONDS
        self._overdue_at = overdue_at if self._overdue_at is None else min(overdue_at, self._overdue_at)

    def _converse(self, launch: Launch, show: Show) -> Outcome | None:
        """Have a program run; return the outcome, None when none will come."""
        self._begun = False
        self._resumes = 0
        self._send({"launch": asdict(launch)})
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
        control, wake = self._control.fileno(), self._wake.fd
        if control < 0 or wake < 0:
            return None
        poll = select.poll()
        poll.register(control, select.POLLIN)
        poll.register(wake, select.POLLIN)
        while b"\n" not in self._unfinished:
            ready = [fd for fd, _ in poll.poll(LOOK_UP_MS)]
            if self._overdue_at is not None and time.monotonic() > self._overdue_at:
                self._process.kill()
            if not ready:
                self._resume()
            if wake in ready:
                self._pass_on_the_stop()
            if control in ready and not self._receive():
                return None
        line, _, self._unfinished = self._unfinished.partition(b"\n")
        return line

    def _receive(self) -> bool:
        """Take what the supervisor has said; return False when it is gone."""
        try:
            received, fds, _, _ = socket.recv_fds(self._control, RECEIVED_AT_A_TIME, 1, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            return False
        self._fds += fds
        self._unfinished += received
        return bool(received)

    def _pass_on_the_stop(self) -> None:
        with self._lock:
            self._wake.clear()
            grace_seconds = self._grace_seconds
        self._send({"stop": {"grace_seconds": grace_seconds}})

    def _send(self, message: dict[str, object]) -> None:
        """Tell the supervisor something. One that does not take it is killed: who reads the answer finds it gone."""
        rest = memoryview(json.dumps(message).encode() + b"\n")
        give_up_at = time.monotonic() + TAKING_SECONDS
        poll = select.poll()
        while rest:
            try:
                poll.register(self._control, select.POLLOUT)
                rest = rest[self._control.send(rest, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                if time.monotonic() > give_up_at:
                    self._process.kill()
                    return
                if not poll.poll(LOOK_UP_MS):
                    self._resume()
            except (OSError, ValueError):  # the second of a socket that is closed
                return

    def _resume(self) -> None:
        """Continue a supervisor that a job has stopped; kill it when that happens again and again."""
        with suppress(ChildProcessError):
            if os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is None:
                return
            self._resumes += 1
            self._process.send_signal(signal.SIGCONT if self._resumes <= MOST_RESUMES else signal.SIGKILL)


def _outcome(message: dict[str, Any], fds: list[int]) -> Outcome:
    told = message["outcome"]
    told |= {"measured": Measured(**told["measured"]), "outputs": Outputs(fds.pop()) if message["outputs"] else None}
    return Outcome(**told)

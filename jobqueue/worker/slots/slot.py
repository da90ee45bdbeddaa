"""A place in the worker where one program at a time runs, under a supervisor of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import jobqueue
from jobqueue.worker.isolation.levels import Isolation
from jobqueue.worker.slots.children import Children
from jobqueue.worker.slots.run import OnLive, Run
from jobqueue.worker.supervisor.channel import Channel, ChannelClosed
from jobqueue.worker.supervisor.messages import Launch, Outcome

CLOSING_SECONDS = 10.0

CODE = Path(jobqueue.__file__).parents[1]
"""The directory that `jobqueue` is imported from: a checkout, or an installation's site-packages."""

BOOT = """
import sys
sys.path.insert(0, sys.argv[1])
from jobqueue.worker.supervisor import main
main.main(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
"""


class SlotDied(Exception):
    """The supervisor is gone, and the program with it; the next run gets a new one.

    When its program had `begun`, the program may have killed it.
    """

    def __init__(self, begun: bool) -> None:
        super().__init__("the supervisor of this slot was killed, or hung and was killed by the worker")
        self.begun = begun


class Slot:
    """Runs programs. `run` is for one thread at a time; any thread may stop, hang up and close."""

    def __init__(self, children: Children, isolation: Isolation, open_files: int) -> None:
        """Start the supervisor. Raises OSError.

        `isolation` is the sandbox of the programs, `open_files` how many files each of their processes may have open.
        """
        self.isolation = isolation
        self._children = children
        self._open_files = open_files
        # Guards `_run`, and with it the life of a run: nobody requests a stop of a run that is closed. It is held for
        # moments only, so that a stop never waits.
        self._lock = threading.Lock()
        self._run: Run | None = None
        # Held while one supervisor ends and another starts, which may take seconds. So no function takes it that must
        # not wait: neither `stop` nor `hang_up`.
        self._replacing = threading.Lock()
        self._closed = False
        self._start()

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self._supervisor.pid

    def run(self, launch: Launch, stopped_event: threading.Event, on_live: OnLive = lambda _: None) -> Outcome:
        """Run a program to its end, or until `stop`; not at all when `stopped_event` is set.

        `on_live` is called in this thread with new output while the program runs. Raises SlotDied when the supervisor
        is killed or hangs. Raises OSError when the host has no process or descriptor left; nothing has run then.
        """
        if self._supervisor.poll() is not None and not stopped_event.is_set():
            self._replace()
        with self._lock:
            # Under the lock that `stop` takes: a thread that sets the event and then calls `stop` is either seen here,
            # or finds the run.
            if stopped_event.is_set():
                return Outcome(stopped=True)
            if self._closed:
                raise SlotDied(begun=False)
            run = self._run = Run(self._supervisor, self._channel, launch, stopped_event)
        try:
            return run.converse(on_live)
        except ChannelClosed:
            # Replaced now, not by the next run, so that the next job does not wait for a Python to start. When that
            # fails, the next run tries again. The OSError must not reach the caller, to whom it would mean that the
            # program never began.
            with suppress(OSError):
                self._replace()
            raise SlotDied(run.begun) from None
        finally:
            with self._lock:
                self._run = None
                run.close()

    def stop(self, grace_seconds: float = 0.0, run_event: threading.Event | None = None) -> None:
        """End the program that runs, if any, with all it started: SIGTERM first when there is a grace, then SIGKILL.

        `run_event` is the event that the run to be stopped was given; a run that has begun since is left alone. None
        stops any run. Does not wait.
        """
        with self._lock:
            if self._run is not None and run_event in (None, self._run.stopped_event):
                self._run.request_stop(grace_seconds)

    def hang_up(self) -> None:
        """Let the supervisor end its program and exit. No program is run any more. Does not wait; `close` does."""
        self._closed = True
        self._channel.hang_up()

    def close(self, within_seconds: float = CLOSING_SECONDS) -> None:
        """End the supervisor, by force after that time; return when it and all that its program started are gone."""
        self.hang_up()
        with self._replacing:
            self._end(within_seconds)

    def _replace(self) -> None:
        """Start another supervisor in place of this one, which is killed if it still runs; nothing after `hang_up`.

        Raises OSError. The supervisor is gone then, and `_replace` may be called again.
        """
        with self._replacing:
            if not self._closed:
                self._end(0)
                self._start()

    def _start(self) -> None:
        """Start a supervisor: a new Python process that inherits only its end of a socket. Raises OSError."""
        ours, theirs = socket.socketpair()
        arguments = [str(CODE), str(theirs.fileno()), json.dumps(self.isolation.describe()), str(self._open_files)]
        try:
            with theirs:
                self._supervisor = self._children.start(
                    # With -I, Python ignores PYTHON* variables, the user's site-packages and the current directory, so
                    # a supervisor imports nothing that a program has put there. That is why the boot code adds CODE.
                    [sys.executable, "-I", "-c", BOOT, *arguments],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    # The worker's environment holds secrets, which a program must not find in its parent process.
                    env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
                )
        except BaseException:
            ours.close()
            raise
        self._channel = Channel(ours)

    def _end(self, within_seconds: float) -> None:
        self._channel.hang_up()  # again: a replacement may have been started while `hang_up` was called
        try:
            self._supervisor.wait(within_seconds)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
        self._children.wait(self._supervisor)
        self._channel.close()
        # A supervisor that exits by itself has killed everything below it. If it was killed, its orphans are now
        # children of this process.
        self._children.sweep()

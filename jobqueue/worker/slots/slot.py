"""A place in the worker where one program at a time runs, under a supervisor of its own."""

from __future__ import annotations

import threading
from contextlib import suppress

from jobqueue.worker.isolation.levels import Isolation
from jobqueue.worker.slots.children import Children
from jobqueue.worker.slots.run import OnLive, Run
from jobqueue.worker.slots.supervisor_process import SupervisorProcess
from jobqueue.worker.supervisor.channel import ChannelClosed
from jobqueue.worker.supervisor.messages import Launch, Outcome

CLOSING_SECONDS = 10.0


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
        self._supervisor = SupervisorProcess(children, isolation, open_files)
        # Guards `_run`, and with it the life of a run: nobody requests a stop of a run that is closed. It is held for
        # moments only, so that a stop never waits.
        self._lock = threading.Lock()
        self._run: Run | None = None

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self._supervisor.pid

    def run(self, launch: Launch, stopped_event: threading.Event, on_live: OnLive = lambda _: None) -> Outcome:
        """Run a program to its end, or until `stop`; not at all when `stopped_event` is set.

        `on_live` is called in this thread with new output while the program runs. Raises SlotDied when the supervisor
        is killed or hangs, OSError when there is no supervisor and none can be started.
        """
        if self._supervisor.is_gone() and not stopped_event.is_set():
            self._supervisor.replace()
        with self._lock:
            # Under the lock that `stop` takes: whoever sets the event and then calls `stop` either is seen here, or
            # finds the run.
            if stopped_event.is_set():
                return Outcome(stopped=True)
            if self._supervisor.closed:
                raise SlotDied(begun=False)
            run = self._run = Run(self._supervisor, launch, stopped_event)
        try:
            return run.converse(on_live)
        except ChannelClosed:
            # Replaced now, not by the next run, so that the next job does not wait for a Python to start. When that
            # fails it is no fault of this attempt, which must still be reported as SlotDied (an OSError would say that
            # the program never began); the next run tries again.
            with suppress(OSError):
                self._supervisor.replace()
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
        self._supervisor.hang_up()

    def close(self, within_seconds: float = CLOSING_SECONDS) -> None:
        """End the supervisor, by force after that time; return when it and all that its program started are gone."""
        self._supervisor.close(within_seconds)

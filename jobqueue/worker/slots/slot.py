"""A place in the worker where one program at a time runs, under a supervisor of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from threading import Event, Lock

from jobqueue.worker.isolation.levels import Isolation
from jobqueue.worker.slots.children import Children
from jobqueue.worker.slots.run import OnLive, Run
from jobqueue.worker.slots.supervisor_process import SupervisorProcess
from jobqueue.worker.supervisor.channel import ChannelClosed
from jobqueue.worker.supervisor.messages import Launch, LeaseEnd, Outcome

CLOSING_SECONDS = 10.0


class SupervisorDied(Exception):
    """The supervisor is gone, and the program with it. The next run gets another supervisor, unless the slot is closed.

    When its program had `begun`, the program may have killed it.
    """

    def __init__(self, begun: bool) -> None:
        super().__init__("the supervisor was killed, or hung and was killed by the worker, or its slot was closed")
        self.begun = begun


class Slot:
    """Runs one program after another, and starts another supervisor when the last one was killed.

    A slot has three parts: the process of the supervisor (`SupervisorProcess`), the channel to it (`Channel`), and the
    conversation about the program that runs now (`Run`).

    run: for one thread at a time. It alone sends, receives and replaces the supervisor.
    stop, renew: for any thread at any time. They take `_lock`, under which a run begins and ends, so they find a whole
        run or none. They only leave a request for the thread in `run`, so they never wait.
    hang_up: for any thread at any time. It shuts the socket down, which wakes the thread in `run`, and does not free
        the descriptor. It never waits either.
    close: for any thread, also beside `run`. It waits for the supervisor to end, and then for `run` to leave.
    """

    # Each lock may be taken while those before it are held, never the other way round.
    # `_replacing` is held while one supervisor ends and another starts, which may take seconds: `stop` and `hang_up`
    # must not take it. `_running` is held while a run uses the channel, and while its descriptor is closed: otherwise
    # the kernel could give the number to another file, and the run would poll, read or write that one. For the same
    # reason `hang_up` holds `_lock`, which is held while the descriptor is closed, too. `_lock` also guards `_run`; it
    # is held for moments only.

    def __init__(self, children: Children, isolation: Isolation, open_files: int) -> None:
        """Start the supervisor. Raises OSError.

        `isolation` is the sandbox of the programs, `open_files` how many files each of their processes may have open.
        """
        self.isolation = isolation
        self._replacing, self._running, self._lock = Lock(), Lock(), Lock()
        self._run: Run | None = None
        self._closed = False
        self._start = partial(SupervisorProcess, children, isolation, open_files)
        self._supervisor = self._start()

    @property
    def supervisor_pid(self) -> int:
        """The supervisor's process id."""
        return self._supervisor.process.pid

    def run(
        self,
        launch: Launch,
        stopped: Event,
        on_live: OnLive = lambda _: None,
        lease_end: Callable[[], LeaseEnd | None] = lambda: None,
    ) -> Outcome:
        """Run a program to its end, or until `stop`; not at all when `stopped` is set.

        The event also identifies the run: `stop` stops only the run that was given the same event, never a later job.
        `on_live` is called in this thread with new output while the program runs; it must not wait. `lease_end` returns
        when the lease ends that the program depends on, None when it depends on none; `renew` puts that off. Raises
        SupervisorDied when the supervisor is killed or hangs, or the slot is closed. Raises OSError when the host has
        no process or descriptor left; nothing has run then.
        """
        if self._supervisor.process.poll() is not None and not stopped.is_set():
            self._replace()
        try:
            with self._running:
                return self._converse(launch, stopped, on_live, lease_end)
        except SupervisorDied:
            # Replaced now, not by the next run, so that the next job does not wait for a Python to start. When that
            # fails, the next run tries again. The OSError must not reach the caller, to whom it would mean that the
            # program never began.
            with suppress(OSError):
                self._replace()
            raise

    def _converse(
        self, launch: Launch, stopped: Event, on_live: OnLive, lease_end: Callable[[], LeaseEnd | None]
    ) -> Outcome:
        with self._lock:
            # Under the lock that `stop` takes: a thread that sets the event and then calls `stop` is either seen here,
            # or finds the run.
            if stopped.is_set():
                return Outcome(stopped=True)
            if self._closed:
                raise SupervisorDied(begun=False)
            # Under the lock that `renew` takes, for the same reason: a renewal is either part of the launch, or finds
            # the run.
            run = self._run = Run(self._supervisor, replace(launch, lease_end=lease_end()), stopped)
        try:
            return run.converse(on_live)
        except ChannelClosed:
            raise SupervisorDied(run.begun) from None
        finally:
            with self._lock:
                self._run = None
                run.close()

    def stop(self, grace_seconds: float = 0.0, stopped: Event | None = None) -> None:
        """End the program that runs, if any, with all it started: SIGTERM first when there is a grace, then SIGKILL.

        Only the run that was given the event `stopped` is stopped; None stops any run. Does not wait.
        """
        with self._lock:
            if self._run is not None and stopped in (None, self._run.stopped):
                self._run.request_stop(grace_seconds)

    def renew(self, lease_end: LeaseEnd, stopped: Event) -> None:
        """Let the run that was given the event `stopped` depend on this end of its lease. Does not wait.

        What the run's function `lease_end` returns has to be changed before.
        """
        with self._lock:
            if self._run is not None and self._run.stopped is stopped:
                self._run.renew(lease_end)

    def hang_up(self) -> None:
        """Let the supervisor end its program and exit. No program is run any more. Does not wait; `close` does."""
        with self._lock:
            self._closed = True
            self._supervisor.channel.hang_up()

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
                self._supervisor = self._start()

    def _end(self, within_seconds: float) -> None:
        self._supervisor.end(within_seconds)  # hangs up again: `hang_up` may have found the one before it
        # A run leaves soon, since the other end of its channel is gone.
        with self._running, self._lock:
            self._supervisor.close()

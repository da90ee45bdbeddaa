"""The timer that sweeps the queue: one thread in every server process, so that silence is noticed without traffic."""

from __future__ import annotations

import threading

import redis

from jobqueue import logs
from jobqueue.errors import JobQueueError
from jobqueue.queue.commands import Commands
from jobqueue.queue.connection import Connection

INTERVAL_SECONDS = 0.5


class Sweeper:
    """Sweeps every INTERVAL_SECONDS, and at once again while there is more to do."""

    def __init__(self, commands: Commands, connection: Connection, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._commands = commands
        self._connection = connection
        self._interval_seconds = interval_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)
        self._reachable = False

    def start(self) -> None:
        """Begin to sweep."""
        self._thread.start()

    def stop(self) -> None:
        """Sweep no more; returns when the last sweep has ended."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def sweep(self) -> bool:
        """Sweep once; return whether there is more to do. What goes wrong is logged and left to the next time."""
        try:
            swept = self._commands.sweep()
        except JobQueueError as error:
            self._note_outage(error)
        except Exception as error:  # noqa: BLE001  # the timer must outlive whatever one sweep meets
            logs.logger().exception("sweep_failed", reason=str(error))
        else:
            if not self._reachable:
                self._reachable = True
                self._check_eviction_policy()
            return swept.more
        return False

    def _note_outage(self, error: JobQueueError) -> None:
        """Log once that Redis refuses to change anything. When it does not answer, the connection has said so."""
        if self._reachable and isinstance(error.__cause__, redis.ResponseError):
            logs.logger().error("sweep_refused", reason=str(error.__cause__))
        self._reachable = False

    def _check_eviction_policy(self) -> None:
        """Say it loudly, at the start and after each outage, when Redis may throw away what the queue is made of."""
        try:
            policy = self._connection.eviction_policy()
        except Exception as error:  # noqa: BLE001  # not every Redis tells: that is no reason not to sweep
            logs.logger().warning("eviction_policy_unknown", reason=str(error))
            return
        if policy != "noeviction":
            logs.logger().error("eviction_policy_unsafe", maxmemory_policy=policy, needed="noeviction")

    def _run(self) -> None:
        while not self._stopped.is_set():
            if not self.sweep():
                self._stopped.wait(self._interval_seconds)

"""The timer that sweeps the queue: one thread in every server process, so that silence is noticed without traffic."""

from __future__ import annotations

import threading

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
        self._thread.join()

    def sweep(self) -> bool:
        """Sweep once; return whether there is more to do. What goes wrong is logged and left to the next time."""
        try:
            self._check_eviction_policy()
            return self._commands.sweep().more
        except JobQueueError:
            self._reachable = False  # the connection has said so in the log
        except Exception as error:  # noqa: BLE001  # the timer must outlive whatever one sweep meets
            logs.logger().exception("sweep_failed", reason=str(error))
        return False

    def _check_eviction_policy(self) -> None:
        """Say it loudly, at the start and after each outage, when Redis may throw away what the queue is made of."""
        if self._reachable:
            return
        policy = self._connection.eviction_policy()
        self._reachable = True
        if policy != "noeviction":
            logs.logger().error("eviction_policy_unsafe", maxmemory_policy=policy, needed="noeviction")

    def _run(self) -> None:
        while not self._stopped.is_set():
            if not self.sweep():
                self._stopped.wait(self._interval_seconds)

"""Sweeps the queue, in every server process, so that expired leases are noticed without traffic."""

from __future__ import annotations

import threading

import redis

from jobqueue import logs
from jobqueue.errors import JobQueueError
from jobqueue.queue import server_check
from jobqueue.queue.commands import Commands
from jobqueue.queue.connection import Connection

INTERVAL_SECONDS = 0.5
SHORTEST_SECONDS = 0.05
"""Time between two sweeps when there is no more to do. A thousand leases that end together cause few sweeps."""


class Sweeper:
    """Sweeps every INTERVAL_SECONDS, and again at once as long as there is more to do.

    It sweeps sooner when a lease or a delay ends before that, and when it is poked because one has just ended.

    Sweepers do not elect a leader. The script is atomic and finds nothing a second time, so extra sweeps cost a
    fraction of a millisecond each, while a leader that died would have to be noticed and replaced.
    """

    def __init__(self, commands: Commands, connection: Connection, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._commands = commands
        self._connection = connection
        self._interval_seconds = interval_seconds
        self._pause_seconds = interval_seconds
        self._stopped = threading.Event()
        self._poked = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)
        self._reachable = False

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop sweeping. Returns when the last sweep has ended."""
        self._stopped.set()
        self._poked.set()
        if self._thread.ident is not None:
            self._thread.join()

    def poke(self) -> None:
        """Sweep soon. Any number of calls cause one sweep."""
        self._poked.set()

    def sweep(self) -> bool:
        """Sweep once and return whether there is more to do. Errors are logged, and the next sweep tries again."""
        self._pause_seconds = self._interval_seconds
        try:
            swept = self._commands.sweep()
        except JobQueueError as error:
            self._note_outage(error)
        except Exception as error:  # noqa: BLE001  # the timer must outlive whatever one sweep meets
            logs.logger().exception("sweep_failed", reason=str(error))
        else:
            # The server is checked after the first successful sweep, not before: the check must not delay the ending
            # of leases, and Redis may have been restarted with another configuration during an outage.
            if not self._reachable:
                self._reachable = True
                server_check.check(self._connection)
            if swept.next_due_ms:
                self._pause_seconds = min((swept.next_due_ms + 1) / 1000, self._interval_seconds)
            return swept.more
        return False

    def _note_outage(self, error: JobQueueError) -> None:
        """Log, once for each outage, that Redis refuses writes. The connection logs it when Redis does not answer."""
        if self._reachable and isinstance(error.__cause__, redis.ResponseError):
            logs.logger().error("sweep_refused", reason=str(error.__cause__))
        self._reachable = False

    def _run(self) -> None:
        while not self._stopped.is_set():
            if not self.sweep():
                # The shortest pause comes after a poke as well: others that come together with it cause no sweep more.
                self._poked.wait(self._pause_seconds - SHORTEST_SECONDS)
                self._stopped.wait(min(SHORTEST_SECONDS, self._interval_seconds))
                self._poked.clear()

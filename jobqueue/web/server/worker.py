"""gunicorn's gevent worker as this server needs it: a process from its first connection to its end."""

from __future__ import annotations

import errno
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
from gevent.event import Event
from gunicorn.http import wsgi
from gunicorn.sock import ssl_context
from gunicorn.workers.ggevent import GeventWorker

from jobqueue.web.bodies.memory import return_free_pages
from jobqueue.web.server import serving
from jobqueue.web.server.connections.connection import Connection
from jobqueue.web.server.connections.countdown import Phase, TimeLimits
from jobqueue.web.server.connections.table import ConnectionTable
from jobqueue.web.server.gate import Gate
from jobqueue.web.server.listening import plain
from jobqueue.web.server.process import connections_within, raise_descriptor_limit, signal_at_death_of

PARENT_DIED = signal.SIGUSR2
ORPHAN_SECONDS = 1.0
"""How long the requests of a process may go on after the death of the arbiter."""

GRACE_SECONDS, ORPHAN_GRACE_SECONDS = 2.0, 0.2
"""How long a process that ends waits for the rest of a head. Orphans wait as long for clients to read their answers."""

NOTIFY_SECONDS = 0.5
RETURN_MEMORY_SECONDS = 3.0
DRAIN_POLL_SECONDS = 0.02
ACCEPT_PAUSE_SECONDS = 0.1
BURST = 16
"""How many connections are accepted in a row. Whoever comes last waits for every turn of the others before it."""

EXHAUSTION_LOG_SECONDS = 60.0
NO_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
UNSENT_IN_KERNEL_BYTES = 131_072


class Worker(GeventWorker):
    """A server process. Its connections have greenlets of their own, so that none of them can hold up another.

    gevent's `StreamServer` is not used: it prints a traceback for every `accept` that fails, and it knows nothing of
    time limits, nor whom to close when there are too many connections.
    """

    limits = TimeLimits()
    alive: bool
    wsgi: Any
    cfg: Any

    def init_process(self) -> None:
        """Prepare the process, load the app and serve."""
        self._woken = Event()
        self.table = ConnectionTable(connections_within(raise_descriptor_limit(), self.worker_connections))
        super().init_process()

    def init_signals(self) -> None:
        """Handle gunicorn's signals, and the death of the arbiter. gunicorn has changed the user before."""
        super().init_signals()
        signal.signal(PARENT_DIED, self.handle_orphaned)
        signal_at_death_of(self.ppid, PARENT_DIED)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """End gracefully, without waiting for the next turn of the main loop."""
        super().handle_exit(sig, frame)
        self._woken.set()

    def handle_orphaned(self, *_: object) -> None:
        """Have the main loop see at once that the arbiter has died."""
        self._woken.set()

    def load_wsgi(self) -> None:
        """Load the app, and let few requests into it at a time."""
        super().load_wsgi()
        self._end_waits = end_waits_of(self.wsgi)
        self.wsgi = Gate(self.wsgi, self.table)
        wsgi.Response = serving.Answer  # gunicorn has no setting for it
        self.cfg = serving.Settled(self.cfg)

    def run(self) -> None:
        """Serve until SIGTERM, the last of `max_requests`, or the death of the arbiter."""
        self._tls = ssl_context(self.cfg) if self.cfg.is_ssl else None
        returned_at = time.monotonic()
        acceptors = [gevent.spawn(self._accept_all, listener) for listener in self.sockets]
        while self.alive and not self._is_orphan():
            self.notify()
            if time.monotonic() - returned_at > RETURN_MEMORY_SECONDS:
                returned_at = time.monotonic()
                return_free_pages()
            self._woken.clear()
            self._woken.wait(NOTIFY_SECONDS)
        self.alive = False
        self.table.is_ending = True
        self._end_waits()
        gevent.killall(acceptors)
        for listener in self.sockets:
            self._accept_waiting(listener)
            listener.close()
        self._drain()

    def notify(self) -> None:
        """Tell the arbiter that this process is alive."""
        self.tmp.notify()  # GeventWorker would exit at once, in the middle of a request, when the arbiter is gone.

    def _is_orphan(self) -> bool:
        return bool(os.getppid() != self.ppid)

    def _drain(self) -> None:
        """Return when the requests that run have been answered, or their time is over."""
        started = time.monotonic()
        while len(self.table):
            orphan, seconds = self._is_orphan(), time.monotonic() - started
            if seconds > (ORPHAN_SECONDS if orphan else self.cfg.graceful_timeout):
                return
            waiting = (Phase.HEAD, Phase.CLOSING) if orphan else (Phase.HEAD,)
            self.table.close_idle(*(waiting if seconds > (ORPHAN_GRACE_SECONDS if orphan else GRACE_SECONDS) else ()))
            self.notify()
            gevent.sleep(DRAIN_POLL_SECONDS)

    def _accept_all(self, listener: Any) -> None:
        """Accept connections until the process ends. Nothing that a client does can stop this."""
        prepare(listener)
        logged_at, accepted = -EXHAUSTION_LOG_SECONDS, 0
        while True:
            self.table.make_room()
            try:
                client, address = listener.accept()
            except OSError as error:
                if error.errno in NO_RESOURCES:
                    if time.monotonic() - logged_at >= EXHAUSTION_LOG_SECONDS:
                        logged_at = time.monotonic()
                        self.log.error("No connection can be accepted: %s.", error.strerror)
                    self.table.close_slowest(1 + len(self.table) // 10)
                    gevent.sleep(ACCEPT_PAUSE_SECONDS)
                continue  # Any other error is about a client that has gone already.
            self._begin(listener, client, address)
            accepted += 1
            if accepted % BURST == 0:
                gevent.sleep(0)  # The other processes take their share of a burst of connections meanwhile.

    def _accept_waiting(self, listener: Any) -> None:
        """Accept the connections that clients have opened already. Otherwise they would be reset."""
        listener.settimeout(0)
        with suppress(OSError):  # at the latest, nobody is left
            while True:
                self._begin(listener, *listener.accept())

    def _begin(self, listener: Any, client: Any, address: Any) -> None:
        """Serve a connection in a greenlet of its own."""
        connection = Connection(client, plain(address), self.table, self.limits)
        self.table.add(connection)
        # The listener is asked for its name now: by the time the greenlet begins, it may be closed.
        gevent.spawn(self._serve, listener.getsockname(), connection)

    def _serve(self, listener_name: Any, connection: Connection) -> None:
        try:
            if self._tls is None or connection.start_tls(self._tls):
                serving.serve(self, listener_name, connection)
        finally:
            self.table.remove(connection)
            connection.close()


def end_waits_of(app: Any) -> Callable[[], None]:
    """Return the method by which an app answers all requests that wait. Another app than ours may have none."""
    services = getattr(app, "extensions", {}).get("jobqueue")
    return getattr(services, "end_waits", lambda: None)


def prepare(listener: Any) -> None:
    """Set the options that the connections of a listening socket inherit."""
    if listener.family == socket.AF_UNIX:
        return
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        # Otherwise the kernel takes megabytes of an answer for a client that reads nothing, and nobody counts them.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_IN_KERNEL_BYTES)

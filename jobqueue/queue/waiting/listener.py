"""Keeps one subscription alive for the whole process, and passes its notices on."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import cast

import redis

from jobqueue import logs
from jobqueue.queue.connection import Connection
from jobqueue.queue.scripts import ROOT
from jobqueue.queue.transport.answers import code_of
from jobqueue.queue.transport.limits import limited
from jobqueue.queue.transport.pool import Pool
from jobqueue.queue.waiting import events
from jobqueue.queue.waiting.notices import read_work
from jobqueue.queue.waiting.subscription import Subscription

WORK = f"{ROOT}:work"
LEASE = f"{ROOT}:lease:"
JOB = f"{ROOT}:job:"

SILENCE_SECONDS = 1.0
"""After so long without a message, the server is asked for a sign of life. After as long again, the connection is given
up: a connection can end without a word, and a listener that waits for ever would be deaf from then on.
"""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, REFUSED_PAUSE_SECONDS = 0.1, 2.0, 30.0


@dataclass(eq=False)
class Watch:
    """Somebody who waits for notices about a job: for `ended`, and perhaps for `output`.

    confirmed: set when Redis sends the notices of this job. noticed: set by a notice, and when notices may have been
    lost.
    """

    wants: frozenset[str]
    confirmed: threading.Event = field(default_factory=threading.Event)
    noticed: threading.Event = field(default_factory=threading.Event)


class Deaf(redis.ConnectionError):
    """The server does not answer on this connection."""


class Listener:
    """A thread with a connection of its own, which is replaced as soon as it has ended or fallen silent.

    `on_work` gets the pairs of a number and a type for which jobs can be claimed, and a word that tells the notice from
    others; `on_expired` is called when a lease has ended, and `on_begin` when notices of work come, again or for the
    first time: earlier ones may have been lost. They run in the listener's thread and must not wait.

    Redis is asked for notices of work only while somebody follows them: each would wake this thread for nothing.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.on_work: Callable[[list[tuple[int, str]], str], None] = lambda _, __: None
        self.on_expired: Callable[[], None] = lambda: None
        self.on_begin: Callable[[], None] = lambda: None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._lock = threading.Lock()
        self._watches: dict[str, set[Watch]] = {}
        self._subscription: Subscription | None = None
        self._is_subscribed = False
        self._follows_work = self._gets_work = False
        self._heard_at = 0.0
        self._refused = False
        self._refused_events = ""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening. Returns when the thread has ended."""
        self._stopped.set()
        if (subscription := self._subscription) is not None:
            subscription.interrupt()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def hears(self) -> bool:
        """Whether notices about jobs arrive, as far as is known."""
        return self._is_subscribed and time.monotonic() - self._heard_at < 2 * SILENCE_SECONDS

    @property
    def hears_work(self) -> bool:
        """Whether notices of work arrive, as far as is known."""
        return self._gets_work and self.hears

    def follow_work(self, wanted: bool) -> None:
        """Pass notices of work on from now on, or no longer. `on_begin` is called when they begin to come."""
        if wanted == self._follows_work:
            return
        self._follows_work = wanted
        if wanted:
            self._send(lambda subscription: subscription.subscribe([WORK]))
        else:
            self._gets_work = False
            self._send(lambda subscription: subscription.unsubscribe(WORK))

    @contextmanager
    def watching(self, job_id: str, *wants: str) -> Iterator[Watch]:
        """Yield a watch of a job, for which the notices named by `wants` are passed on."""
        channel, watch = JOB + job_id, Watch(frozenset(wants))
        with self._lock:
            others = self._watches.setdefault(channel, set())
            is_first = not others
            if any(other.confirmed.is_set() for other in others):
                watch.confirmed.set()
            others.add(watch)
        try:
            if is_first:
                self._send(lambda subscription: subscription.subscribe([channel]))
            yield watch
        finally:
            self._forget(channel, watch)

    def _forget(self, channel: str, watch: Watch) -> None:
        with self._lock:
            others = self._watches.get(channel, set())
            others.discard(watch)
            is_last = not others and self._watches.pop(channel, None) is not None
        if is_last:
            self._send(lambda subscription: subscription.unsubscribe(channel))

    def _send(self, command: Callable[[Subscription], None]) -> None:
        # An error ends the connection, which the thread notices; the next connection asks for all channels anew.
        subscription = self._subscription
        if subscription is not None and self._is_subscribed:
            with suppress(redis.RedisError, OSError):
                command(subscription)

    def _run(self) -> None:
        pause_seconds = FIRST_PAUSE_SECONDS
        while not self._stopped.is_set():
            begun_at = time.monotonic()
            try:
                self._listen()
            except (redis.RedisError, OSError) as error:
                self._note(error)
            except Exception as error:  # noqa: BLE001  # whatever one connection meets, there must be a next one
                logs.logger().exception("listener_failed", reason=str(error))
            if time.monotonic() - begun_at > LONGEST_PAUSE_SECONDS:
                pause_seconds = FIRST_PAUSE_SECONDS
            longest = REFUSED_PAUSE_SECONDS if self._refused else pause_seconds
            self._stopped.wait(longest * random.uniform(0.5, 1))
            pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)

    def _note(self, error: Exception) -> None:
        """Log, once, that this login may not listen. The connection logs it when Redis does not answer."""
        refused = code_of(error) == "NOPERM"
        if refused and not self._refused:
            logs.logger().warning("notices_refused", reason=str(error))
        self._refused = refused

    def _enable_events(self) -> None:
        """Ask for the events of keys that expire. Log, once, that the server refuses."""
        refused = events.enable(self._connection)
        if refused and refused != self._refused_events:
            logs.logger().info("expired_events_unavailable", reason=refused)
        self._refused_events = refused or self._refused_events

    def _listen(self) -> None:
        """Receive messages until the connection ends, or until the listener is stopped."""
        pool = cast("Pool", self._connection.client.connection_pool)
        self._enable_events()
        with limited():
            subscription = Subscription(pool.make_another())
        try:
            self._subscription = subscription
            subscription.subscribe([events.channel(pool.database), *list(self._watches)])
            self._receive(subscription)
        finally:
            self._is_subscribed, self._gets_work, self._subscription = False, False, None
            subscription.close()

    def _receive(self, subscription: Subscription) -> None:
        asked, given_up = False, self._connection.given_up
        while not self._stopped.is_set():
            if self._connection.given_up != given_up:
                raise Deaf("another server may send the notices by now")  # the old one may live on as a replica
            message = subscription.receive(SILENCE_SECONDS)
            if message is not None:
                self._heard_at, asked = time.monotonic(), False
                self._pass_on(*message)
            elif asked:
                raise Deaf("Redis sends nothing on the connection for notices")
            else:
                subscription.ping()
                asked = True

    def _pass_on(self, kind: str, channel: str, text: str) -> None:
        if kind == "subscribe":
            self._note_confirmed(channel)
        elif kind != "message":
            return
        elif channel == WORK:
            self.on_work(*read_work(text))
        elif channel.startswith(JOB):
            self._tell(channel, text)
        elif text.startswith(LEASE):
            self.on_expired()

    def _note_confirmed(self, channel: str) -> None:
        """Note that Redis sends the notices of a channel from now on."""
        if channel == WORK:
            self._gets_work = self._follows_work
            self.on_begin()
        elif channel.startswith(JOB):
            for watch in self._watching(channel):
                watch.confirmed.set()
        else:  # the first channel of a connection
            self._begin()

    def _begin(self) -> None:
        self._is_subscribed, self._refused = True, False
        with self._lock:
            channels = [*self._watches, *([WORK] if self._follows_work else [])]
            watches = [watch for each in self._watches.values() for watch in each]
        # Some may have been added since the list for the first command was made, and some come here a second time.
        if channels and self._subscription is not None:
            self._subscription.subscribe(channels)
        for watch in watches:
            watch.noticed.set()

    def _tell(self, channel: str, text: str) -> None:
        for watch in self._watching(channel):
            if text in watch.wants:
                watch.noticed.set()

    def _watching(self, channel: str) -> list[Watch]:
        with self._lock:
            return list(self._watches.get(channel, ()))

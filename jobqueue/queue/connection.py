"""The connection to Redis: how it is made, how long it may take, and what happens while Redis does not answer."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobqueue import logs
from jobqueue.errors import JobQueueError, StoreFull, StoreUnavailable

CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 2.0
PAUSE_SECONDS = 0.5
MAX_CONNECTIONS = 8
"""A script takes well under a millisecond, so few connections serve many threads. Small Redis plans allow only 20."""

UNAVAILABLE = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.InvalidResponse,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.TryAgainError,
    redis.exceptions.NoPermissionError,
)
UNAVAILABLE_CODES = ("NOREPLICAS", "MASTERDOWN", "BUSY", "MISCONF", "LOADING", "READONLY", "DB index is out of range")
"""The beginnings of errors that are about the server, not the command. The last is caused by a wrong REDIS_URL."""


def connect(url: str) -> redis.Redis:
    """Return a client for `redis://`, `rediss://` or `unix://`. Nothing is sent before the first command."""
    # The client never sends a command twice: a script whose answer got lost may have changed something already, and
    # only the caller knows whether it is safe to run it again. RESP2 is what every server and every proxy speaks.
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=CONNECT_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=30,
        protocol=2,
        decode_responses=True,
    )
    return redis.Redis(connection_pool=pool)


def check_url(url: str) -> None:
    """Raise ValueError, without connecting, for a URL that redis-py refuses, or silently reads as database 0."""
    parts = urlsplit(url)
    if parts.scheme != "unix" and not re.fullmatch("[0-9]{0,9}", parts.path.replace("/", "")):
        raise ValueError("the path must be the number of a database")
    try:
        connect(url).connection_pool.make_connection()
    except TypeError as error:  # an option that redis-py does not know
        raise ValueError(str(error)) from None


class Connection:
    """A client, and whether the server behind it answers.

    While it does not, callers are refused at once, except one every PAUSE_SECONDS, who tries again. Otherwise each of
    many requests would wait for its own time-out, and requests would pile up faster than they fail.
    """

    def __init__(self, client: redis.Redis, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.client = client
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._away = False
        self._try_again_at = 0.0

    def ping(self) -> None:
        """Return if Redis answers. Raises StoreUnavailable if it does not."""
        with self.watched():
            self.client.ping()

    def eviction_policy(self) -> str:
        """Return what Redis does when its memory is full. Only `noeviction` never evicts a lease or a job."""
        with self.watched():
            return str(self.client.info("memory").get("maxmemory_policy", "noeviction"))

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Run the commands inside. Raises StoreUnavailable or StoreFull if Redis cannot serve them.

        Errors about a command itself are raised unchanged.
        """
        self._refuse_while_away()
        try:
            yield
        except redis.RedisError as error:
            translated = _translated(error)
            # An outage is silence: a server that answered, even with an error like READONLY, costs its caller no
            # time-out. Refusing the next callers unasked would gain nothing and would delay the recovery.
            if isinstance(translated, StoreUnavailable) and not isinstance(error, redis.ResponseError):
                self._note_outage(error)
            else:
                self._note_answer()
            raise translated from error
        self._note_answer()

    def _refuse_while_away(self) -> None:
        # Read without the lock, as nearly every call ends here. A caller that misses the start of an outage waits for
        # one time-out; a caller that misses its end is refused once, or tries again. Both are harmless.
        if not self._away:
            return
        with self._lock:
            now = self._monotonic()
            if now < self._try_again_at:
                raise StoreUnavailable
            # This caller tries again. Until its own time-out is over at the latest, all others are refused.
            self._try_again_at = now + CONNECT_SECONDS + ANSWER_SECONDS

    def _note_outage(self, error: redis.RedisError) -> None:
        with self._lock:
            started, self._away = not self._away, True
            self._try_again_at = self._monotonic() + PAUSE_SECONDS
        if started:
            logs.logger().error("redis_away", reason=str(error))

    def _note_answer(self) -> None:
        if not self._away:
            return
        with self._lock:
            ended, self._away = self._away, False
        if ended:
            logs.logger().info("redis_back")


def _translated(error: redis.RedisError) -> JobQueueError | redis.RedisError:
    if isinstance(error, redis.exceptions.OutOfMemoryError):
        return StoreFull()
    if isinstance(error, UNAVAILABLE) or str(error).startswith(UNAVAILABLE_CODES):
        return StoreUnavailable()
    return error

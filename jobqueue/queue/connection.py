"""The way to Redis: how it is reached, how long it may take, and what is said when it does not answer."""

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
"""A script takes well under a millisecond, so few connections serve many threads; small Redis plans allow but 20."""

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
"""How errors begin that say nothing of the command. The last comes of a REDIS_URL with too high a database."""


def connect(url: str) -> redis.Redis:
    """Return a client for `redis://`, `rediss://` or `unix://`; nothing is sent before the first command.

    It never sends a command twice: a script whose answer got lost may have changed something already. RESP2, which
    every server and proxy speaks.
    """
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
    """Raise ValueError, without connecting, for a URL that redis-py would not take, or take for database 0's."""
    parts = urlsplit(url)
    if parts.scheme != "unix" and not re.fullmatch("[0-9]{0,9}", parts.path.replace("/", "")):
        raise ValueError("the path of such a URL is the number of a database")
    try:
        connect(url).connection_pool.make_connection()
    except TypeError as error:  # an option that it does not know
        raise ValueError(str(error)) from None


class Connection:
    """A client together with what is known of the server behind it: whether it answers.

    While it does not, callers are told so at once, all but one every PAUSE_SECONDS who tries again. Without that, each
    request of a crowd would wait for its own time-out, one crowd behind the other.
    """

    def __init__(self, client: redis.Redis, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.client = client
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._away = False
        self._try_again_at = 0.0

    def ping(self) -> None:
        """Return when Redis answers; raises StoreUnavailable when it does not."""
        with self.watched():
            self.client.ping()

    def eviction_policy(self) -> str:
        """Return what Redis does when it is full; only `noeviction` never throws a lease or a job away."""
        with self.watched():
            return str(self.client.info("memory").get("maxmemory_policy", "noeviction"))

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Run the commands inside; raises StoreUnavailable or StoreFull for what Redis itself makes of them."""
        self._refuse_while_away()
        try:
            yield
        except redis.RedisError as error:
            translated = _translated(error)
            if isinstance(translated, StoreUnavailable) and not isinstance(error, redis.ResponseError):
                self._note_outage(error)
            else:
                self._note_answer()
            raise translated from error
        self._note_answer()

    def _refuse_while_away(self) -> None:
        if not self._away:
            return
        with self._lock:
            now = self._monotonic()
            if now < self._try_again_at:
                raise StoreUnavailable
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

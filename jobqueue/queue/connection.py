"""The connection to Redis: calls within one time limit, and what happens while Redis does not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import redis

from jobqueue import logs
from jobqueue.errors import StoreUnavailable
from jobqueue.queue.transport import address
from jobqueue.queue.transport.advice import advised
from jobqueue.queue.transport.answers import LAST_ON_A_CONNECTION, NOT_THE_SERVER, code_of, refuses_scripts, translated
from jobqueue.queue.transport.limits import current, limited
from jobqueue.queue.transport.pool import PING_SECONDS, CannotConnect, Pool

T = TypeVar("T")

PAUSE_SECONDS = 0.25
REFUSAL_SECONDS = 1.0


def connect(url: str, verify: bool = True, login: address.Login | None = None) -> redis.Redis:
    """Return a client for `redis://`, `rediss://` or `unix://`. Nothing is sent before the first command.

    Without `verify`, TLS takes any certificate. Raises ValueError for a URL that cannot be used.
    """
    return redis.Redis(connection_pool=Pool(address.read(url, verify, login or address.Login())))


class Connection:
    """A client, and whether the server behind it answers.

    While it does not, callers are refused at once, except one every PAUSE_SECONDS, who asks again. Otherwise each of
    many requests would wait for its own time limit, and requests would pile up faster than they fail.
    """

    def __init__(self, client: redis.Redis, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.client = client
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._examining = threading.Lock()
        self._away = False
        self._refused = False
        self._try_again_at = 0.0
        self._answered_at = 0.0
        self.given_up = 0
        """How often all connections were given up, because another server may be the one to ask by now."""

    def ping(self) -> None:
        """Return if Redis answers. Raises StoreUnavailable if it does not."""
        self.call(self.client.ping, changes_nothing=True)

    def require(self, root: str, commands: Iterable[str]) -> None:
        """Refuse a login from now on that may not run these commands on the keys that begin with `root`."""
        if isinstance(self.client.connection_pool, Pool):
            self.client.connection_pool.logins.require(root, commands)

    def information(self, section: str) -> dict[str, object]:
        """Return what Redis says about itself in a section of INFO."""
        return self.call(lambda: self.client.info(section), changes_nothing=True)

    def call(self, operation: Callable[[], T], changes_nothing: bool = False) -> T:
        """Return what an operation on the client returns, within OPERATION_SECONDS.

        Raises StoreUnavailable or StoreFull if Redis cannot serve it; the errors of redis-py if the operation itself is
        at fault. The operation is run once more if it has certainly changed nothing.
        """
        with limited():
            self._refuse_while_away()
            began_at, had_seconds = self._monotonic(), current().left_seconds
            try:
                answer = self._run(operation, changes_nothing)
            except redis.RedisError as error:
                # A caller that came late, with less time than a ping gets, has learned nothing about Redis.
                self._note_failure(error, began_at, was_late=had_seconds < PING_SECONDS)
                raise translated(error) from error
            self._note_answer()
            return answer

    def _run(self, operation: Callable[[], T], changes_nothing: bool) -> T:
        try:
            return operation()
        except redis.RedisError as error:
            if not _may_be_repeated(error, changes_nothing):
                raise
            self._give_up_connections(error)
        return operation()

    def _note_failure(self, error: redis.RedisError, began_at: float, was_late: bool) -> None:
        self._give_up_connections(error)
        if isinstance(error, redis.AuthenticationError) and isinstance(self.client.connection_pool, Pool):
            self.client.connection_pool.logins.note_refusal(error)
        # A server that answers, even with an error like READONLY, costs its callers no time limit. Refusing the next
        # callers unasked would gain nothing and would delay the recovery.
        if not code_of(error):
            if not was_late:
                self._examine(error, began_at)
        elif isinstance(error, redis.ConnectionError):
            self._note_refusal(error)
        else:
            self._note_answer()

    def _give_up_connections(self, error: redis.RedisError) -> None:
        """Make the next callers connect anew, unless the error was this server's, and would be again."""
        if isinstance(error, redis.AuthenticationError):
            return  # connections that are logged in may go on
        code = code_of(error)
        lasts = code and code not in LAST_ON_A_CONNECTION and not refuses_scripts(error)
        if isinstance(self.client.connection_pool, Pool) and not lasts:
            self.client.connection_pool.renew()
            self.given_up += 1

    def _examine(self, error: redis.RedisError, began_at: float) -> None:
        """Find out whether a silence was one connection's or is everybody's, and note an outage if it is."""
        if self._away or isinstance(error, redis.DataError) or self._answered_at > began_at:
            return  # it is known already, or others were answered meanwhile
        if isinstance(error, CannotConnect):
            self.note_outage(error)
        # One caller asks for all. The others report their errors without an opinion on the outage.
        elif self._examining.acquire(blocking=False):
            try:
                if not self._answers():
                    self.note_outage(error)
            finally:
                self._examining.release()

    def _answers(self) -> bool:
        try:
            with limited(PING_SECONDS):
                self.client.ping()
        except redis.RedisError as error:
            return bool(code_of(error)) and not isinstance(error, redis.AuthenticationError)
        return True

    def _refuse_while_away(self) -> None:
        # Read without the lock, as nearly every call ends here. A caller that misses the start of an outage waits for
        # one time limit; a caller that misses its end is refused once, or asks again. Both are harmless.
        if not self._away:
            return
        with self._lock:
            now = self._monotonic()
            if now < self._try_again_at:
                raise StoreUnavailable
            # This caller asks again, with a ping that has a short limit: should its packets get lost although the
            # outage is over, the next one asks soon. Until then, all others are refused.
            self._try_again_at = now + PING_SECONDS + PAUSE_SECONDS
        if not self._answers():
            with self._lock:
                self._try_again_at = self._monotonic() + PAUSE_SECONDS
            raise StoreUnavailable
        self._note_answer()

    def note_outage(self, error: redis.RedisError) -> None:
        """Refuse callers for PAUSE_SECONDS, and then all but one at a time until Redis answers."""
        with self._lock:
            started, self._away = not self._away and not self._refused, True
            self._try_again_at = self._monotonic() + PAUSE_SECONDS
        if started:
            logs.logger().error("redis_away", reason=advised(error))

    def _note_refusal(self, error: redis.RedisError) -> None:
        """Log that Redis takes nobody in: it is loading, full of clients, or refuses the login. Log it as an outage if
        nobody has been answered for a second: with too many clients, the connections that exist are served. A login
        that is refused is logged at once, because that does not end by itself.
        """
        with self._lock:
            unanswered = self._monotonic() - self._answered_at > REFUSAL_SECONDS or self._login_is_refused
            started = unanswered and not self._refused and not self._away
            self._refused = self._refused or started
        if started:
            logs.logger().error("redis_away", reason=advised(error))

    @property
    def _login_is_refused(self) -> bool:
        pool = self.client.connection_pool
        return isinstance(pool, Pool) and pool.logins.is_refused

    def _note_answer(self) -> None:
        self._answered_at = self._monotonic()
        if not self._away and not self._refused:
            return
        if self._login_is_refused:
            return  # only the connections that were made before still work
        with self._lock:
            ended = self._away or self._refused
            self._away = self._refused = False
        if ended:
            logs.logger().info("redis_back")


def _may_be_repeated(error: redis.RedisError, changes_nothing: bool) -> bool:
    # After a silence nobody knows what the server has done. An operation that only reads may be repeated all the same,
    # if its connection ended: after a time limit the time is better spent on finding out whether Redis is away.
    ended = isinstance(error, redis.ConnectionError) and not isinstance(error, CannotConnect) and not code_of(error)
    return code_of(error) in NOT_THE_SERVER or (changes_nothing and ended)

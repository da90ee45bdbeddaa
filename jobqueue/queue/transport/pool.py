"""The connections of one process, each checked before it is used."""

from __future__ import annotations

import queue
import time
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection
from redis.retry import Retry

from jobqueue.queue.transport import sockets
from jobqueue.queue.transport.address import Address
from jobqueue.queue.transport.answers import LAST_ON_A_CONNECTION, code_of
from jobqueue.queue.transport.idle import Idle
from jobqueue.queue.transport.limits import current, limited
from jobqueue.queue.transport.logins import Logins
from jobqueue.queue.transport.names import Names
from jobqueue.queue.transport.replies import CLOSED, Replies

ANSWER_SECONDS = 2.0
WAIT_SECONDS = 1.0
"""How long to wait for a connection while others use all of them."""
PING_SECONDS = 1.0

VERIFY_AFTER_SECONDS = 1.0
"""A connection that was idle for longer is asked for a sign of life before it is used."""
REPLACE_AFTER_SECONDS = 15.0
"""A connection that was idle for longer is replaced unasked: a balancer may have forgotten it without a word, and then
the question costs PING_SECONDS. A busy server has no such connection.
"""
GIVEN_UP = -1
"""The generation of a connection that is closed when it would be used next."""

RENEWAL_SECONDS = 0.25
"""All connections are given up at most once in this time, however many callers ask for it."""


class CannotConnect(redis.ConnectionError):
    """No connection could be made, or none became free."""


class StoreConnection(AbstractConnection):
    """A connection whose every wait ends at the time limit of the operation under way."""

    _sock: sockets.LimitedSocket | None  # type: ignore[assignment]  # redis-py's type is None alone

    def __init__(self, address: Address, names: Names, **options: Any) -> None:
        super().__init__(**options)
        self._address = address
        self._names = names
        self.port = address.port  # redis-py reads it when a time limit ends
        self.generation = 0
        self._used_at = 0.0

    def repr_pieces(self) -> list[tuple[str, object]]:
        """Return what redis-py shows of a connection."""
        return [("address", self._host_error()), ("db", self.db)]

    def connect(self) -> None:
        """Connect, log in and select the database. Raises CannotConnect if nobody answers."""
        try:
            super().connect()  # type: ignore[no-untyped-call]
        except (redis.ConnectionError, redis.TimeoutError) as error:
            if code_of(error):
                raise
            raise CannotConnect(str(error)) from error

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        """Read the answer to a command. After one that speaks for another server, the connection is not used again."""
        try:
            with limited(ANSWER_SECONDS):
                response = super().read_response(*arguments, **options)
        except redis.ResponseError as error:
            if code_of(error) in LAST_ON_A_CONNECTION:
                self.generation = GIVEN_UP  # and not closed yet: the answers to other commands may follow
            raise
        self._used_at = time.monotonic()
        return response

    def exchange(self, commands: bytes, count: int, answers: list[Any]) -> None:
        """Send so many commands, and append the answer to each, or the error that Redis answered.

        Raises redis.RedisError if that fails before the last answer. The connection is closed then: what was not read
        must not become the answer to another command.
        """
        sock = self._sock
        if sock is None:
            raise redis.ConnectionError(CLOSED)
        replies = Replies(sock.recv, self._parser.parse_error)
        try:
            sock.sendall(commands)
            for _ in range(count):
                answers.append(self._next(replies))  # noqa: PERF401  # what was read before an error counts
        except TimeoutError as error:
            self.disconnect()  # type: ignore[no-untyped-call]
            raise redis.TimeoutError(f"Timeout reading from {self._host_error()}") from error
        except OSError as error:
            self.disconnect()  # type: ignore[no-untyped-call]
            raise redis.ConnectionError(f"Error while reading from {self._host_error()}: {error}") from error
        except BaseException:
            self.disconnect()  # type: ignore[no-untyped-call]
            raise
        if replies.has_more:  # nobody asked for that
            self.generation = GIVEN_UP
        self._used_at = time.monotonic()

    def _next(self, replies: Replies) -> Any:
        with limited(ANSWER_SECONDS):
            answer = replies.read()
        if isinstance(answer, redis.ResponseError) and code_of(answer) in LAST_ON_A_CONNECTION:
            self.generation = GIVEN_UP
        return answer

    def is_usable(self) -> bool:
        """Whether the connection, idle until now, still leads to a server. May ask the server."""
        if self._sock is None or self._sock.is_readable():
            return False
        idle_seconds = time.monotonic() - self._used_at
        return idle_seconds <= VERIFY_AFTER_SECONDS or (idle_seconds <= REPLACE_AFTER_SECONDS and self._answers())

    def wait(self, seconds: float) -> bool:
        """Wait until there is something to read; return whether there is, within that time. Raises OSError."""
        if self._sock is None:
            raise OSError("the connection has ended")
        return self._sock.wait_readable(seconds)

    def shut_down(self, how: int) -> None:
        """End the connection in one direction or both: whoever reads or writes there sees the end. Raises OSError."""
        if self._sock is not None:
            self._sock.shutdown(how)

    def _answers(self) -> bool:
        try:
            with limited(PING_SECONDS):
                self._send_ping()  # type: ignore[no-untyped-call]
        except redis.RedisError:
            return False
        return True

    def _connect(self) -> sockets.LimitedSocket:
        self._used_at = time.monotonic()
        return sockets.connect(self._address, self._names)

    def _host_error(self) -> str:
        return self._address.path or f"{self._address.host}:{self._address.port}"


class Pool(redis.BlockingConnectionPool):
    """At most `address.max_connections` connections. Waiting for one, too, ends at the time limit."""

    def __init__(self, address: Address) -> None:
        # redis-py never sends a command twice: a script whose answer got lost may have changed something already.
        # RESP2 is what every server and every proxy speaks. Without driver_info the handshake needs two answers fewer.
        super().__init__(  # type: ignore[no-untyped-call]
            max_connections=address.max_connections,
            queue_class=Idle,
            connection_class=StoreConnection,
            address=address,
            names=Names(address.host, address.port),
            db=address.database,
            username=address.username,
            password=address.password,
            client_name=address.client_name,
            retry=Retry(NoBackoff(), 0),
            driver_info=None,
            protocol=2,
            decode_responses=True,
        )
        self.database = address.database
        self.logins = Logins(address.username)
        self._generation = 0
        self._renewed_at = 0.0

    def make_another(self) -> StoreConnection:
        """Return a connection, not made yet, that does not count as one of the pool's."""
        return cast("StoreConnection", self.connection_class(**self.connection_kwargs))

    def renew(self) -> None:
        """Give up every connection that there is now: each is closed when it would be used next.

        None is closed here, because another thread may be about to use it.
        """
        now = time.monotonic()
        if now - self._renewed_at >= RENEWAL_SECONDS:
            self._renewed_at = now
            self._generation += 1

    def get_connection(self, *_: object, **__: object) -> Any:
        """Return a connection to a server that answers, or answered a moment ago. Raises redis.RedisError."""
        self._checkpid()
        connection = self._free_connection()
        try:
            self._prepare(connection)
        except BaseException:
            self.release(connection)
            raise
        return connection

    def release(self, connection: Any) -> None:
        """Take a connection back."""
        if connection.pid == self.pid:
            self.pool.put_nowait(connection)
        else:  # it is the parent process's
            super().release(connection)  # type: ignore[no-untyped-call]

    def _free_connection(self) -> StoreConnection:
        try:
            connection: StoreConnection | None = self.pool.get(timeout=min(WAIT_SECONDS, current().left_seconds))
        except queue.Empty:
            raise CannotConnect("all connections are in use") from None
        return connection or cast("StoreConnection", self.make_connection())  # type: ignore[no-untyped-call]

    def _prepare(self, connection: StoreConnection) -> None:
        generation = self._generation
        if connection.is_connected and connection.generation != generation:
            connection.disconnect()  # type: ignore[no-untyped-call]
        if connection.is_connected and not connection.is_usable():
            connection.disconnect()  # type: ignore[no-untyped-call]
            # The other idle ones have probably met the same end. Each would cost its caller a question and a wait.
            self.renew()
            generation = self._generation
        if not connection.is_connected:
            self.logins.refuse_again()
            connection.generation = generation
            connection.connect()
            self._check_login(connection)

    def _check_login(self, connection: StoreConnection) -> None:
        try:
            self.logins.check(connection)
        except BaseException:
            connection.disconnect()  # type: ignore[no-untyped-call]
            raise

"""A client's connection, on which every byte has a time limit, in both directions."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

import gevent
from gevent.socket import socket as GeventSocket  # noqa: N812  # it is a class
from gunicorn.http.errors import LimitRequestHeaders

from jobqueue.errors import ServerBusy
from jobqueue.queue.transport.limits import not_counted
from jobqueue.web.bodies.large import LARGE_BYTES
from jobqueue.web.server.connections.countdown import Countdown, Phase, TimeLimits
from jobqueue.web.server.connections.table import ConnectionTable

if TYPE_CHECKING:
    from jobqueue.web.server.gate import Place

MAX_HEAD_BYTES = 65_536
FREE_BODY_BYTES = 8192
"""Of a body that need no reservation. gunicorn reads as much along with the head."""

MAX_DRAINED_BYTES = 65_536
"""The rest of a body that is read to keep a connection. When more is left, the connection is closed."""

SEND_BYTES = 262_144
RESET = struct.pack("ii", 1, 0)


class Connection:
    """A client's socket as gunicorn uses it: it receives, sends and has a descriptor.

    `recv` and `sendall` raise TimeoutError when a time limit is over; it is an OSError like any other fault of the
    network. `address` is the client's, `table` has all connections of the process. `place` is set while the request on
    this connection runs.
    """

    def __init__(self, sock: Any, address: Any, table: ConnectionTable, limits: TimeLimits) -> None:
        self._socket = sock
        self.table = table
        self._limits = limits
        self.address = address
        self.place: Place | None = None
        self.request: Any = None
        self.unsent_bytes = 0
        self.reserved_bytes = 0
        self.head_bytes = 0
        self._body_seconds_left = limits.body
        self.countdown = Countdown(Phase.HEAD, limits.head)

    def start_tls(self, context: ssl.SSLContext) -> bool:
        """Speak TLS from here on; return whether the client does, too. It has the time of a head."""
        try:  # in two steps, so that the connection can be closed from outside during the second
            self._socket = context.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
            with gevent.Timeout(self._limits.head, TimeoutError):
                self._socket.do_handshake()
        except (OSError, ValueError):
            return False
        return True

    @property
    def has_begun_a_request(self) -> bool:
        """Whether a part of a head has arrived, and not all of it."""
        return self.countdown.phase is Phase.HEAD and self.head_bytes > 0

    def await_request(self, buffered: bool) -> None:
        """Start to wait for the next request, of which a part may have arrived with the last one."""
        self.request = None
        self.countdown.start(*((Phase.HEAD, self._limits.head) if buffered else (Phase.IDLE, self._limits.idle)))

    def run(self, request: Any) -> None:
        """Start to run a request whose head is complete."""
        self.request = request
        self._count_head(-self.head_bytes)
        self._body_seconds_left = self._limits.body
        self.countdown.start(Phase.RUNNING, 0.0)

    def recv(self, size: int) -> bytes:
        """Return the next bytes of a request, b"" at their end."""
        if self.request is not None:
            return self._receive_body(size)
        if self.head_bytes > MAX_HEAD_BYTES:
            raise LimitRequestHeaders("the head is too long")
        data = self._receive(size)
        if self.countdown.phase is Phase.IDLE and data:
            self.countdown.start(Phase.HEAD, self._limits.head)
        self._count_head(len(data))
        return data

    def _count_head(self, byte_count: int) -> None:
        self.head_bytes += byte_count
        self.table.count_head(byte_count)

    def _receive_body(self, size: int) -> bytes:
        """Return the next bytes of a body. Only the time for which the app waits for them counts."""
        try:
            with self.place.given_up() if self.place else nullcontext():
                self._reserve()
                self.countdown.start(Phase.BODY, self._limits.body, self._body_seconds_left)
                with not_counted():  # a client that sends slowly leaves Redis as much time as any other
                    data = self._receive(size)
                self.countdown.extend(len(data) / self._limits.bytes_per_second)
                self._body_seconds_left = self.countdown.seconds_left()
                gevent.sleep(0)  # lets others run: no wait does when a client sends faster than its bytes are read
        except (OSError, ServerBusy):
            self.request.force_close()  # nobody knows where the next request would begin
            raise
        self.countdown.start(Phase.RUNNING, 0.0)
        return data

    def _reserve(self) -> None:
        """Wait for memory for this body, as far as it is read without a place for large ones. Raises ServerBusy."""
        length = getattr(self.request.body.reader, "length", LARGE_BYTES)
        if self.reserved_bytes or length <= FREE_BODY_BYTES:
            return
        byte_count = min(length, LARGE_BYTES)
        self.table.reserve(byte_count)
        self.reserved_bytes = byte_count

    def free(self) -> None:
        """Give back the memory of a head or body: the request has ended."""
        self._count_head(-self.head_bytes)
        self.table.body_bytes -= self.reserved_bytes
        self.reserved_bytes = 0

    def _receive(self, size: int) -> bytes:
        self._socket.settimeout(self.countdown.remaining())
        return bytes(self._socket.recv(size))

    def sendall(self, data: bytes) -> None:
        """Send a part of an answer."""
        if self.countdown.phase is not Phase.ANSWER:
            self.countdown.start(Phase.ANSWER, self._limits.answer)
        left = memoryview(data)
        self._count(len(left))
        try:
            while left:
                self._socket.settimeout(self.countdown.remaining())
                sent = self._socket.send(left[:SEND_BYTES])
                left = left[sent:]
                self._count(-sent)
                self.countdown.extend(sent / self._limits.bytes_per_second)
        except OSError:
            self.abort()
            raise
        finally:
            self._count(-len(left))

    def _count(self, byte_count: int) -> None:
        self.unsent_bytes += byte_count
        self.table.unsent_bytes += byte_count

    def send(self, data: bytes) -> int:
        """Send a few bytes between request and answer (`100 Continue`); return how many were sent."""
        self._socket.settimeout(self._limits.head)
        sent: int = self._socket.send(data)
        return sent

    def settle_body(self) -> None:
        """Close the connection after the answer, which says so, unless the rest of the request's body is short."""
        reader = self.request.body.reader
        unread = getattr(reader, "length", None)
        if unread is None:  # a chunked body, whose length nobody knows
            unread = 0 if reader.parser is None else MAX_DRAINED_BYTES + 1
        if unread > MAX_DRAINED_BYTES or self.table.is_ending:
            self.request.force_close()

    def linger(self) -> None:
        """Close the connection so that the client can read the answer first, even if it is still sending.

        If a socket is closed while bytes arrive, the kernel sends a reset, on which the client's kernel may discard the
        answer.
        """
        end = time.monotonic() + self._limits.closing_at_most
        with suppress(OSError):
            self.shutdown(socket.SHUT_WR)
            while time.monotonic() < end:
                self.countdown.start(Phase.CLOSING, self._limits.closing)
                self._socket.settimeout(self._limits.closing)
                # The plain method also where the socket speaks TLS: nobody reads these bytes.
                if not GeventSocket.recv(self._socket, 65536):
                    return
                gevent.sleep(0)  # as in `_receive_body`

    def hang_up(self) -> None:
        """Wake this connection's greenlet as if the client had closed the connection."""
        if self.countdown.phase is Phase.ANSWER:
            self.abort()
        with suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)

    def abort(self) -> None:
        """Hang up and have the kernel discard what it could not send yet."""
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.shutdown(socket.SHUT_RDWR)

    def shutdown(self, how: int) -> None:
        """Shut down the socket in one direction or both: whoever reads or writes there sees the end."""
        # TLS's own method would take the session away under a greenlet that reads.
        GeventSocket.shutdown(self._socket, how)

    def close(self) -> None:
        """Close the socket."""
        self.free()
        with suppress(OSError):
            self._socket.close()

    def fileno(self) -> int:
        """Return the descriptor."""
        return int(self._socket.fileno())

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        """Return an option of the socket."""
        return bytes(self._socket.getsockopt(level, option, size))

    def getsockname(self) -> Any:
        """Return the address on which the client has reached us."""
        return self._socket.getsockname()

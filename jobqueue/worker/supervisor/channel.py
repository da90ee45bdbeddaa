"""One end of the socket between a worker and a supervisor. Both processes use this class.

A message is one line of JSON. A descriptor is sent with the first bytes of the line it belongs to, so it arrives before
the line is complete.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from contextlib import suppress

from jobqueue.worker.supervisor.messages import Message, decode, encode

RECEIVED_BYTES = 256 * 1024
"""The largest number of bytes taken from the socket at a time."""


class ChannelClosed(ConnectionError):
    """The process at the other end is gone, or this end was closed."""


class Channel:
    """Sends and receives messages. One thread at a time may do so; `hang_up` is for any thread at any time."""

    def __init__(self, connection: socket.socket) -> None:
        self.inbox: deque[Message] = deque()
        """Messages that have arrived, the oldest first. The caller removes them."""
        self._socket = connection
        self._partial = b""
        self._unsent = memoryview(b"")
        self._descriptors: deque[int] = deque()

    def fileno(self) -> int:
        """Return the socket's descriptor, to wait for messages with; -1 once closed."""
        return self._socket.fileno()

    @property
    def has_unsent(self) -> bool:
        """Whether a part of a message that was posted is still to be sent."""
        return bool(self._unsent)

    def post(self, message: Message) -> None:
        """Send as much of a message, which has no descriptors, as the socket has room for; `flush` or `send` sends the
        rest. Call it only when nothing is unsent. Raises OSError.
        """
        self._unsent = self.try_to_send(memoryview(encode(message)[0]))

    def flush(self) -> bool:
        """Send what was posted, as far as the socket has room; return whether all is sent. Raises OSError."""
        if self._unsent:
            self._unsent = self.try_to_send(self._unsent)
        return not self._unsent

    def send(self, message: Message) -> None:
        """Send a message; wait for as long as the other process does not read. Raises ConnectionError."""
        self._socket.sendall(self._unsent)
        self._unsent = memoryview(b"")
        line, descriptors = encode(message)
        sent = socket.send_fds(self._socket, [line], descriptors)
        self._socket.sendall(line[sent:])

    def try_to_send(self, data: memoryview) -> memoryview:
        """Send as much of a line as the socket has room for, and return the rest. Raises OSError."""
        try:
            return data[self._socket.send(data, socket.MSG_DONTWAIT) :]
        except BlockingIOError:
            return data

    def receive(self) -> None:
        """Wait for bytes, and put every message that they complete into the inbox. Raises ChannelClosed."""
        try:
            received, descriptors, _, _ = socket.recv_fds(self._socket, RECEIVED_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
        except OSError as error:
            raise ChannelClosed from error
        self._descriptors += descriptors
        if not received:
            raise ChannelClosed
        *lines, self._partial = (self._partial + received).split(b"\n")
        self.inbox += [decode(line, self._descriptors) for line in lines]

    def hang_up(self) -> None:
        """End the connection: the other process, and a thread that waits here, find the channel closed."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Free the socket, and the descriptors that no message has taken. May be called again."""
        self._socket.close()
        while self._descriptors:
            os.close(self._descriptors.popleft())

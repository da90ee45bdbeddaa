"""A connection on which Redis sends notices."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import cast

from jobqueue.queue.transport.limits import limited
from jobqueue.queue.transport.pool import StoreConnection

SEND_SECONDS = 1.0


class Subscription:
    """A connection that is in no pool. One thread receives; any thread may send.

    Every method raises redis.RedisError or OSError when the connection has ended.
    """

    def __init__(self, connection: StoreConnection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        """Held by whoever sends or receives bytes, but not by whoever waits for them: TLS allows one at a time."""
        connection.connect()

    def subscribe(self, channels: Iterable[str]) -> None:
        """Ask for the notices of channels. Each is confirmed by a message of the kind `subscribe`."""
        self._send("SUBSCRIBE", *channels)

    def unsubscribe(self, channel: str) -> None:
        """Ask for no more notices of a channel."""
        self._send("UNSUBSCRIBE", channel)

    def ping(self) -> None:
        """Ask for a sign of life, a message of the kind `pong`."""
        self._send("PING")

    def receive(self, seconds: float) -> tuple[str, str, str] | None:
        """Return the next message: its kind, its channel and its text; None if none comes within that time."""
        with self._lock, limited(0):
            has_more = self._connection.can_read()  # of what has been received together with the last message
        if not has_more and not self._connection.wait(seconds):
            return None
        with self._lock:
            # Without decoding: names of foreign keys, which may be any bytes, come here when they expire.
            message = self._connection.read_response(disable_decoding=True)
        words = [part.decode(errors="replace") if isinstance(part, bytes) else str(part) for part in _listed(message)]
        kind, channel, text = [*words, "", ""][:3]
        return kind, channel, text

    def interrupt(self) -> None:
        """Have the thread that receives see the end of the connection."""
        with suppress(OSError):
            self._connection.shut_down(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the connection."""
        self._connection.disconnect()  # type: ignore[no-untyped-call]

    def _send(self, *words: str) -> None:
        try:
            with self._lock, limited(SEND_SECONDS):
                self._connection.send_command(*words)  # type: ignore[no-untyped-call]
        except BaseException:
            self.interrupt()  # half a command may have been sent
            raise


def _listed(message: object) -> list[object]:
    return cast("list[object]", message) if isinstance(message, list) else [message]

"""TCP relays between the processes that can hold, reset and lose what passes through them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from enum import Enum, auto
from typing import Any, TypeVar

from jobqueue.local.run import free_port
from tests.support.hosts import reset_when_closed

T = TypeVar("T")
CHUNK_BYTES = 65_536


class Mode(Enum):
    """What a relay does with bytes and connections."""

    PASS = auto()
    HOLD = auto()
    """Connections are accepted and stay open, and nothing passes. Those of that time never pass anything again."""
    RESET = auto()
    """Every connection is reset when it is made."""
    LOSE_ANSWERS = auto()
    """Requests pass. Instead of an answer the client gets the end of the connection."""


class Relays:
    """A thread that serves relays, and the way to call them from other threads."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="relays", daemon=True)
        self._thread.start()

    def wait_for(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the relays' thread and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def open(self, target_port: int) -> Relay:
        """Return a relay to a port of loopback, listening on a free port."""
        relay = Relay(self, target_port)
        self.wait_for(relay.listen())
        return relay

    def close(self) -> None:
        """Stop serving."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()


class Relay:
    """Passes bytes between clients of `port` and `target_port`, as its mode says."""

    def __init__(self, relays: Relays, target_port: int) -> None:
        self.port = free_port()
        self._relays = relays
        self._target_port = target_port
        self._mode = Mode.PASS
        self._held: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._listener: asyncio.Server | None = None

    async def listen(self) -> None:
        """Accept connections."""
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=1024)

    def set_mode(self, mode: Mode) -> None:
        """Change the mode. Connections that exist when HOLD begins are held for ever."""
        self._relays.wait_for(self._set_mode(mode))

    def set_target(self, port: int) -> None:
        """Relay new connections to another port. Existing connections stay where they are."""
        self._target_port = port

    async def _set_mode(self, mode: Mode) -> None:
        self._mode = mode
        if mode is Mode.HOLD:
            self._held |= self._open
        if mode is Mode.RESET:
            for client in [*self._open]:
                _reset(client)

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if self._mode is Mode.RESET:
            _reset(client)
            return
        self._open.add(client)
        if self._mode is Mode.HOLD:
            self._held.add(client)
        try:
            behind_reader, behind = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            self._open.discard(client)
            _reset(client)
            return
        copies = [
            asyncio.create_task(self._copy(reader, behind, client, answers=False)),
            asyncio.create_task(self._copy(behind_reader, client, client, answers=True)),
        ]
        await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        for copy in copies:
            copy.cancel()
        self._open.discard(client)
        self._held.discard(client)
        client.close()
        behind.close()

    async def _copy(
        self, source: asyncio.StreamReader, to: asyncio.StreamWriter, client: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with suppress(OSError):
            while chunk := await source.read(CHUNK_BYTES):
                if client in self._held:
                    continue
                if answers and self._mode is Mode.LOSE_ANSWERS:
                    return
                to.write(chunk)
                await to.drain()


def _reset(client: asyncio.StreamWriter) -> None:
    reset_when_closed(client.get_extra_info("socket"))
    client.transport.abort()

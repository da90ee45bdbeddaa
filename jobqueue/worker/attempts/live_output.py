"""The latest output of a running program that the API does not have yet."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from jobqueue.output import LIVE_BYTES, Window


class LiveOutput:
    """At most the latest LIVE_BYTES of each stream. One thread adds, another one sends. `on_arrival` wakes the sender.

    A part is dropped only once the API has answered for it. Output that is added while a request is under way is not
    part of that request, so `forget` is given what was sent and keeps whatever has come since.
    """

    def __init__(self) -> None:
        self.on_arrival: Callable[[], object] = lambda: None
        self._lock = threading.Lock()
        self._windows: dict[str, Window] = {}

    @property
    def pending(self) -> bool:
        """Whether there is something to send."""
        return any(window.data for window in list(self._windows.values()))

    def add(self, parts: Mapping[str, Any]) -> None:
        """Take new output: by stream, a pair of the offset at which it begins and its text."""
        with self._lock:
            for stream, (offset, text) in parts.items():
                window = self._windows.get(stream, Window(offset, b""))
                self._windows[stream] = window.append(offset, text.encode()).keep_last(LIVE_BYTES)
        self.on_arrival()

    def peek(self) -> dict[str, Any]:
        """Return what to send, by stream `{"offset": …, "data": …}` as the API documents it."""
        with self._lock:
            return {
                stream: {"offset": window.offset, "data": window.data.decode()}
                for stream, window in self._windows.items()
                if window.data
            }

    def forget(self, sent: Mapping[str, Any]) -> None:
        """Drop what `peek` returned: the API has it now."""
        with self._lock:
            for stream, part in sent.items():
                self._windows[stream] = self._windows[stream].after(part["offset"] + len(part["data"].encode()))

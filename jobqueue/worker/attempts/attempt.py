"""One attempt at a job, as all threads that have to do with it see it: whether it has to end, and why."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum
from typing import Any

from jobqueue.client.claims import ClaimedJob
from jobqueue.output import LIVE_BYTES, skip_partial_character
from jobqueue.worker.slots.slot import Slot


class Cause(Enum):
    """Why an attempt was told to end. The first cause counts, except that a lost lease always does."""

    CANCELLED = "cancelled"
    SHUTDOWN = "shutdown"
    LEASE_LOST = "lease_lost"


class Attempt:
    """A job in a slot. `stopped` is set as soon as there is a `cause` to end it."""

    def __init__(self, job: ClaimedJob, slot: Slot) -> None:
        self.job = job
        self.slot = slot
        self.live = LiveOutput()
        self.stopped = threading.Event()
        self.cause: Cause | None = None
        self._lock = threading.Lock()

    def stop(self, cause: Cause, grace_seconds: float = 0.0) -> None:
        """End the attempt wherever it is: its program is asked first when there is a grace, then killed."""
        with self._lock:
            if self.cause is None or cause is Cause.LEASE_LOST:
                self.cause = cause
            self.stopped.set()
        self.slot.stop(grace_seconds, self.stopped)


class LiveOutput:
    """What is new of a running program's outputs until the API has it, the latest LIVE_BYTES of each."""

    def __init__(self) -> None:
        self.on_arrival: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._new: dict[str, tuple[int, bytes]] = {}

    @property
    def pending(self) -> bool:
        """Whether there is something to tell."""
        return any(new for _, new in list(self._new.values()))

    def add(self, pieces: dict[str, Any]) -> None:
        """Take, by stream, None or where its output goes on and the text."""
        with self._lock:
            for stream, (offset, text) in ((name, piece) for name, piece in pieces.items() if piece):
                begin, known = self._new.get(stream, (offset, b""))
                if begin + len(known) != offset:
                    begin, known = offset, b""
                whole = known + text.encode()
                kept = skip_partial_character(whole[-LIVE_BYTES:])
                self._new[stream] = (begin + len(whole) - len(kept), kept)
        self.on_arrival()

    def peek(self) -> dict[str, Any]:
        """Return what the API is to be told, as it documents it."""
        with self._lock:
            return {
                stream: {"offset": begin, "data": new.decode()} for stream, (begin, new) in self._new.items() if new
            }

    def forget(self, told: dict[str, Any]) -> None:
        """Drop what `peek` returned: the API has it."""
        with self._lock:
            for stream, piece in told.items():
                begin, new = self._new[stream]
                end = piece["offset"] + len(piece["data"].encode())
                self._new[stream] = (max(begin, end), new[max(end - begin, 0) :])

"""The file of entries: read again when it has changed, however it was changed."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path

from jobqueue.access.entries import Entry, InvalidEntry, of_file

MAX_BYTES = 1024 * 1024
SETTLED_SECONDS = 2.0
"""A file that was changed so recently may be changed again without another size or time: clocks of file systems tick
every few milliseconds, some only every second. Until then it is read at every look.
"""

State = tuple[int, ...]


class UnreadableFile(Exception):
    """The file cannot be used. The message is a sentence that names it and says why."""


class TokenFile:
    """A file of entries, and what has been read of it so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state: State | None = None
        self._looked_empty = False

    def read(self) -> Sequence[Entry]:
        """Return the entries. Raises UnreadableFile."""
        self._state = None
        try:
            # A pipe would keep the whole process waiting for somebody who writes to it.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:
                return self._entries(file.read(MAX_BYTES + 1), os.fstat(descriptor))
        except OSError as error:
            self._state = (error.errno or 0,)
            raise UnreadableFile(f"{self.path} cannot be read: {error.strerror}.") from None

    def _entries(self, text: bytes, status: os.stat_result) -> Sequence[Entry]:
        # Of what was there before the read or during it: a change that comes later has another time.
        self._state = _state_of(status)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableFile(f"{self.path} is not a file.")
        if len(text) > MAX_BYTES:
            raise UnreadableFile(f"{self.path} is larger than {MAX_BYTES} bytes.")
        try:
            return of_file(text.decode("utf-8-sig"), str(self.path))
        except UnicodeDecodeError:
            raise UnreadableFile(f"{self.path} is not text in UTF-8.") from None
        except InvalidEntry as error:
            raise UnreadableFile(str(error)) from None

    def read_if_changed(self) -> Sequence[Entry] | None:
        """Return the entries if the file may have changed since it was last read, else None. Raises UnreadableFile.

        An empty file may be one that is just being written: it counts only when it is found so twice.
        """
        try:
            status = os.stat(self.path)
        except OSError as error:
            if self._state == (error.errno or 0,):
                return None
            return self.read()
        if _state_of(status) == self._state and _is_settled(status):
            return None
        was_empty, self._looked_empty = self._looked_empty, status.st_size == 0
        return self.read() if was_empty or not self._looked_empty else None


def _state_of(status: os.stat_result) -> State:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _is_settled(status: os.stat_result) -> bool:
    return time.time() - max(status.st_mtime, status.st_ctime) > SETTLED_SECONDS

"""A file of small reports, one JSON object on each line, so that a report costs one write and no file of its own.

A line says which job it is about, how its attempt ended and who made it: all that the next worker needs to send it.
Lines that say which reports were answered come after them.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

HEAD = re.compile(rb'\{"id":("[^"\\]+"),"outcome":("\w+"),"executor_id":("(?:[^"\\]|\\.)*"),')
"""How the line of a report begins."""

ANSWERED = b'{"answered":'
"""How a line begins that lists answered reports, by the offsets of their lines."""

NAME = re.compile(r"reports\.[0-9a-f]+\.json")

MAX_BYTES = 4 * 1024**2
"""The size from which a journal takes no further reports. What has been answered still takes up space in it."""


@dataclass(frozen=True, eq=False)
class Line:
    """One report in a journal, which is read when it is sent: it takes no memory meanwhile."""

    journal: Journal
    offset: int
    size: int

    def read(self) -> bytes:
        """Return the line. Raises OSError, also when it has been cut off."""
        content = os.pread(self.journal.fd, self.size, self.offset)
        if len(content) != self.size:
            raise OSError(errno.EIO, "a part of the report is gone")
        return content


class Journal:
    """A journal that this process holds, new or left by a dead worker. For one thread at a time, `Line.read` for any.

    `waiting` has the offsets of the reports that have not been answered.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd
        self.waiting: dict[int, int] = {}
        self._size = os.fstat(fd).st_size

    @classmethod
    def create(cls, directory: Path) -> Journal:
        """Make a journal. Raises OSError."""
        path = directory / f"reports.{secrets.token_hex(6)}.json"
        return cls(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600))

    @classmethod
    def adopt(cls, path: Path) -> Journal:
        """Open the journal of a dead worker and find out what waits in it. Raises OSError."""
        journal = cls(path, os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC))
        offset = 0
        with open(path, "rb") as file:
            for line in file:
                if line.startswith(ANSWERED):
                    journal._forget(_offsets(line))
                elif line.endswith(b"}\n") and HEAD.match(line):  # a worker can be killed while it writes a line
                    journal.waiting[offset] = len(line) - 1
                offset += len(line)
        return journal

    @property
    def takes_more(self) -> bool:
        """Whether reports may be added: it is not too large, and a job of the same user has not removed it."""
        return self._size < MAX_BYTES and os.fstat(self.fd).st_nlink > 0

    def append(self, line: bytes) -> Line:
        """Write a report. Raises OSError; nothing of it is in the journal then."""
        offset = self._size
        self._write(line + b"\n")
        self.waiting[offset] = len(line)
        return Line(self, offset, len(line))

    def settle(self, lines: Sequence[Line]) -> None:
        """Note that reports are answered. A journal without any other is removed. Raises OSError."""
        offsets = [line.offset for line in lines]
        self._forget(offsets)
        if self.waiting:
            self._write(ANSWERED + json.dumps(offsets).encode() + b"}\n")
        else:
            self.path.unlink(missing_ok=True)
            self.close()

    def lines(self) -> list[Line]:
        """Return the reports that wait."""
        return [Line(self, offset, size) for offset, size in self.waiting.items()]

    def close(self) -> None:
        """Free the descriptor. May be called again."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _forget(self, offsets: Sequence[int]) -> None:
        for offset in offsets:
            self.waiting.pop(offset, None)

    def _write(self, content: bytes) -> None:
        written = os.write(self.fd, content)
        if written < len(content):
            with suppress(OSError):
                os.ftruncate(self.fd, self._size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += written


def as_result(line: bytes) -> bytes:
    """Return a report as one of the results of a batch, which names its executor once for all. Raises ValueError."""
    head = _head(line)
    return b'{"id":' + head[1] + b',"outcome":' + head[2] + b"," + line[head.end() :]


def as_single(line: bytes) -> bytes:
    """Return a report as the body of a single request, whose path names the job and the outcome. Raises ValueError."""
    head = _head(line)
    return b'{"executor_id":' + head[3] + b"," + line[head.end() :]


def job_and_verb(line: bytes) -> tuple[str, str]:
    """Return the id of the job, and `complete`, `fail` or `release`. Raises ValueError."""
    head = _head(line)
    return json.loads(head[1]), json.loads(head[2])


def _head(line: bytes) -> re.Match[bytes]:
    head = HEAD.match(line)
    if head is None:
        raise ValueError("not the line of a report")
    return head


def _offsets(line: bytes) -> list[int]:
    with suppress(ValueError):
        return list(map(int, json.loads(line)["answered"]))
    return []

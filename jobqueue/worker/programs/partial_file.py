"""The file of a program while it is downloaded: what has arrived so far, and how to ask a server for the rest."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import IO

from jobqueue.worker.programs.errors import RetryableFailure
from jobqueue.worker.programs.request import Answer

CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")
VERSION_HEADERS = ("ETag", "Last-Modified")
VALIDATOR = re.compile(r'"[!#-~]*"|[A-Z][ -~]{1,60}GMT')
"""A strong ETag, or a date. A weak ETag names versions that are alike, not the same bytes."""


class PartialFile:
    """The first bytes of a program, hashed as they arrive. They are kept when a connection breaks.

    byte_count: how many there are. furthest: the most there have ever been, which is what counts as progress: a server
    that begins anew each time, and breaks off each time, makes none.
    """

    def __init__(self, path: Path) -> None:
        """Make no file yet. `begin` does, or it empties the one that is there."""
        self._path = path
        self._file: IO[bytes] | None = None
        self.byte_count = self.furthest = 0
        self._digest = hashlib.sha256()
        self._total: int | None = None
        self._version: dict[str, str] = {}

    def close(self) -> None:
        """Close the file. Raises OSError when the disk is full."""
        if self._file is not None:
            self._file.close()

    def sha256(self) -> str:
        """Write out what has arrived and return its hash. Raises OSError when the disk is full."""
        if self._file is not None:
            self._file.flush()
        return self._digest.hexdigest()

    def clear(self) -> None:
        """Forget what has arrived."""
        if self._file is not None and self.byte_count:
            self._file.seek(0)
            self._file.truncate()
        self._digest = hashlib.sha256()
        self.byte_count, self._total, self._version = 0, None, {}

    def restart(self) -> None:
        """Forget what has arrived, and how far it was: the same bytes are progress again."""
        self.clear()
        self.furthest = 0

    def range_headers(self, certain: bool) -> dict[str, str]:
        """Return the headers of a request for the rest; none when the whole has to be requested.

        Without a name of the version that we have (a strong ETag or a date) the server may send the rest of another
        version. Since the hash of the whole is checked, this is worth a try, but not when `certain`.
        """
        etag, date = (self._version.get(name, "") for name in VERSION_HEADERS)
        strong = next((each for each in (etag, date) if VALIDATOR.fullmatch(each)), None)
        if not self.byte_count or (certain and not strong):
            return {}
        return {"Range": f"bytes={self.byte_count}-", **({"If-Range": strong} if strong else {})}

    def begin(self, answer: Answer) -> None:
        """Go to where the body of an answer begins: to the start (200), or to the end of what has arrived (206).

        Raises RetryableFailure when it begins elsewhere or belongs to another version; the file is empty then. Raises
        OSError when the file cannot be made.
        """
        self._file = self._file or self._open()
        if answer.status == HTTPStatus.PARTIAL_CONTENT:
            if not self._is_continued_by(answer):
                self.clear()
                raise RetryableFailure("the server did not resume where the connection broke")
        else:
            self.clear()
            self._total = answer.byte_count
        self._version |= {name: answer.headers[name] for name in VERSION_HEADERS if name in answer.headers}

    def write(self, piece: bytes) -> None:
        """Append bytes, after `begin`. Raises OSError when the disk is full."""
        assert self._file is not None, "begin comes first"  # noqa: S101
        self._file.write(piece)
        self._digest.update(piece)
        self.byte_count += len(piece)
        self.furthest = max(self.furthest, self.byte_count)

    def check_complete(self) -> None:
        """Raise RetryableFailure when something is missing: a server may answer with less than the whole rest."""
        if self._total is not None and self.byte_count < self._total:
            raise RetryableFailure(f"only {self.byte_count} of {self._total} bytes have arrived")

    def _open(self) -> IO[bytes]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        file = open(os.open(self._path, flags, 0o600), "wb")  # noqa: SIM115  # closed by `close`
        # The lock says that the file belongs to a living worker. The kernel frees it however that worker ends.
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file

    def _is_continued_by(self, answer: Answer) -> bool:
        match = CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != self.byte_count:
            return False
        total = self._total if match[2] == "*" else int(match[2])
        same = all(answer.headers.get(name, value) == value for name, value in self._version.items())
        if not same or (self._total is not None and total != self._total):
            return False
        self._total = total
        return True

"""The programs that a worker may run, by their SHA-256, as a file lists them: ALLOWED_SHA256_FILE."""

from __future__ import annotations

import os
import re
import stat
import threading
import time
from pathlib import Path

from jobqueue import logs
from jobqueue.settings import InvalidSetting

LINE = re.compile(r"\\?([0-9A-Fa-f]{64})([ \t].*)?")
"""A digest, and perhaps a name, as sha256sum prints them. It puts a backslash before a line whose name it escapes."""

MOST_BYTES = 64 * 1024**2

SETTLED_SECONDS = 2.0
"""How old a change must be for the times of a file to tell it from the next one."""


class Unreadable(Exception):
    """The file cannot be read, or is no list. The message completes the sentence "FILE …"."""


class AllowedPrograms:
    """The programs in a file. Any thread may ask.

    The file is read again when it has changed. While it cannot be read, or is no list, what it said before counts: a
    list that is edited is broken for a moment, and one that is lost must neither allow everything nor stop all work.
    """

    def __init__(self, path: Path) -> None:
        """Read the file. Raises InvalidSetting when that is not possible."""
        self._path = path
        self._lock = threading.Lock()
        self._trouble = ""
        self._version: object = None
        try:
            self._digests = self._read()
        except Unreadable as error:
            raise InvalidSetting(f"ALLOWED_SHA256_FILE is {str(path)!r}, which {error}.") from None

    def __len__(self) -> int:
        return len(self._digests)

    def include(self, sha256: str) -> bool:
        """Whether the file lists a program, given by its SHA-256 in lower case."""
        with self._lock:
            if self._version is None or self._version != self._current_version():
                self._refresh()
            return sha256 in self._digests

    def _refresh(self) -> None:
        trouble = ""
        try:
            self._digests = self._read()
        except Unreadable as error:
            trouble, self._version = str(error), None
        if trouble and trouble != self._trouble:
            logs.logger().error("allowed_programs_unreadable", path=str(self._path), reason=f"it {trouble}")
        elif not trouble:
            logs.logger().info("allowed_programs_read", path=str(self._path), programs=len(self._digests))
        self._trouble = trouble

    def _current_version(self) -> object:
        try:
            return _version(os.stat(self._path))
        except OSError:
            return None

    def _read(self) -> frozenset[str]:
        """Return the digests, and note the version of the file. Raises Unreadable."""
        try:
            # Not blocking, as a named pipe would have us wait for somebody who writes to it.
            with open(os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
                info = os.fstat(file.fileno())
                _check(info)
                content = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise Unreadable(f"cannot be read: {error.strerror}") from None
        digests = _parsed(content)
        # Two changes within one tick of the file system's clock look alike. So what changed just now is read once more.
        settled = time.time() - max(info.st_mtime, info.st_ctime) > SETTLED_SECONDS
        self._version = _version(info) if settled else None
        return digests


def _version(info: os.stat_result) -> object:
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns


def _check(info: os.stat_result) -> None:
    if not stat.S_ISREG(info.st_mode):
        raise Unreadable("is not a regular file")
    if info.st_mode & stat.S_IWOTH:
        raise Unreadable("can be written by anybody")


def _parsed(content: bytes) -> frozenset[str]:
    if not content:
        # Most likely it is just being written. A list that allows nothing has a comment that says so.
        raise Unreadable("is empty")
    if len(content) > MOST_BYTES:
        raise Unreadable(f"is larger than {MOST_BYTES} bytes")
    digests = set()
    for number, line in enumerate(content.decode("utf-8-sig", "replace").split("\n"), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = LINE.fullmatch(text)
        if match is None:
            raise Unreadable(f"has neither a SHA-256 nor a comment in line {number}")
        digests.add(match[1].lower())
    return frozenset(digests)

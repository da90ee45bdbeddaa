"""A text stream to a file descriptor that never waits: what cannot be written now is kept, within limits, for later.

A blocking write to a pipe that nobody reads, or to a stopped terminal, would stop each thread that logs something.
"""

from __future__ import annotations

import atexit
import errno
import io
import os
import socket
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from select import POLLOUT, poll  # these names, because gevent replaces those in the module by ones that switch
from typing import TextIO, cast

from jobqueue.redaction import escaped

Send = Callable[[bytes], int]

ATOMIC_BYTES = 4096
"""A pipe takes that much whole or not at all (PIPE_BUF of Linux), so lines of several processes are never mixed."""

WAITING_BYTES = 1024 * 1024
"""How much may wait to be written. Further lines are dropped and counted."""

INCOMING_LINES = 8192
"""How many lines may arrive while one thread writes."""
EXIT_SECONDS = 1.0
"""How long a process that exits waits until what waits has been written."""


class LogStream(io.TextIOBase):
    """Writes whole lines, without ever waiting. Any thread, greenlet or signal handler may write."""

    def __init__(self, fd: int, dropped: Callable[[int], str] = "{} lines were dropped\n".format) -> None:
        """Write to that descriptor. `dropped` returns the line that says how many lines were dropped before it, and the
        attribute `shown` what is written in place of a line that somebody prints here (None: nothing).
        """
        self._fd = fd
        self.shown: Callable[[str], str | None] = str
        self._dropped_line = dropped
        self._send, self._close = _sender(fd)
        self._forget()

    def _forget(self) -> None:
        self._process = os.getpid()
        self._incoming: deque[bytes] = deque()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = self._dropped = 0
        self._unfinished: dict[int, str] = {}
        self._writing = threading.Lock()

    def fileno(self) -> int:
        """Return the number of the file descriptor."""
        return self._fd

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._fd)

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str, is_event: bool = False) -> int:
        """Write the lines of a text; its rest waits until its thread ends the line. An event is a line as it is."""
        # A child of fork has a copy of what waits, which the parent still writes. Its lock may be held by a thread
        # that the child does not have.
        if self._process != os.getpid():
            self._forget()
        thread = threading.get_ident()
        if not is_event and (self._unfinished or text[-1:] != "\n"):
            lines, end, rest = (self._unfinished.pop(thread, "") + text).rpartition("\n")
            if rest:
                self._unfinished[thread] = rest
        else:
            lines, end = text[:-1], "\n"
        if end:
            for line in lines.split("\n"):
                self._receive(line if is_event else self.shown(line))
            self._write_incoming()
        return len(text)

    def finish(self, seconds: float = EXIT_SECONDS) -> None:
        """Write what waits, unless that takes longer. For the end of a process."""
        for rest in [*self._unfinished.values()]:
            self._receive(self.shown(rest))
        self._unfinished.clear()
        deadline = time.monotonic() + seconds
        while self._process == os.getpid():
            self._incoming.append(b"")
            if not self._write_incoming() or (left := deadline - time.monotonic()) <= 0:
                return
            room = poll()
            room.register(self._fd, POLLOUT)
            room.poll(left * 1000)

    def close(self) -> None:
        """Close what was opened for this stream. Its descriptor stays open."""
        if not self.closed:
            self._close()
        super().close()

    def _receive(self, line: str | None) -> None:
        # A write to a file on a network file system that hangs does wait, and nobody empties the queue meanwhile.
        if len(self._incoming) >= INCOMING_LINES:
            self._dropped += 1
        elif line is not None:
            self._incoming.append(_fitted(line))

    def _write_incoming(self) -> bool:
        """Write what has arrived. Return whether something waits that can be written later."""
        # One thread writes for all, and no thread waits for it: whoever finds the lock taken leaves its line to the
        # holder, who looks again after releasing it. A lock that is waited for would stop a signal handler that
        # interrupts its holder, and with greenlets the whole process.
        blocked = False
        while self._incoming and self._writing.acquire(blocking=False):
            try:
                blocked = self._write_waiting()
                while self._incoming:
                    self._keep(self._incoming.popleft())
                blocked = self._write_waiting()
            finally:
                self._writing.release()
        return blocked

    def _keep(self, line: bytes) -> None:
        # Once full, it accepts lines again when half of it is free: a slow reader would otherwise get as many lines
        # about dropped lines as lines.
        if self._dropped and self._waiting_bytes <= WAITING_BYTES // 2:
            self._append(_fitted(self._dropped_line(self._dropped).rstrip("\n")))
            self._dropped = 0
        if self._dropped or self._waiting_bytes + len(line) > WAITING_BYTES:
            self._dropped += bool(line)
        elif line:
            self._append(line)

    def _append(self, line: bytes) -> None:
        self._waiting.append(line)
        self._waiting_bytes += len(line)

    def _write_waiting(self) -> bool:
        """Write what waits, as far as that is possible now. Return whether the rest can be written later."""
        waiting = self._waiting
        while waiting:
            piece = waiting.popleft()
            while waiting and len(piece) + len(waiting[0]) <= ATOMIC_BYTES:
                piece += waiting.popleft()
            try:
                written = self._send(piece)
            except OSError as error:
                # Nobody reads now (EAGAIN), or no longer (EPIPE), or the disk is full: the next line tries again.
                waiting.appendleft(piece)
                return isinstance(error, BlockingIOError)
            self._waiting_bytes -= written
            if written < len(piece):
                waiting.appendleft(piece[written:])
                if not written:
                    return True
        return False


def never_waiting(stream: TextIO, dropped: Callable[[int], str] | None = None) -> TextIO:
    """Return a stream to the same descriptor that never waits; the stream itself if it has none, or is one already."""
    if isinstance(stream, LogStream):
        return stream
    try:
        fd = stream.fileno()
        stream.flush()
    except (OSError, ValueError):
        return stream
    return cast("TextIO", LogStream(fd, dropped) if dropped else LogStream(fd))


def replace_stderr(dropped: Callable[[int], str] | None = None) -> None:
    """Make `sys.stderr` of this process a stream that never waits, and that is finished when the process exits."""
    if sys.stderr is not None:  # Python has none if the descriptor was closed when it started
        sys.stderr = _finished_at_exit(never_waiting(sys.stderr, dropped))


def replace_stdout() -> None:
    """Make `sys.stdout` of this process such a stream."""
    if sys.stdout is not None:
        sys.stdout = _finished_at_exit(never_waiting(sys.stdout))


def _finished_at_exit(stream: TextIO) -> TextIO:
    if isinstance(stream, LogStream):
        atexit.unregister(stream.finish)
        atexit.register(stream.finish)
    return stream


def _fitted(line: str) -> bytes:
    """Return a line, escaped, with its end, not longer than what is written whole."""
    data = escaped(line).encode(errors="backslashreplace")
    if len(data) >= ATOMIC_BYTES:
        data = data[: ATOMIC_BYTES - 4].decode(errors="ignore").encode() + "…".encode()
    return data + b"\n"


def _sender(fd: int) -> tuple[Send, Callable[[], None]]:
    """Return a function that writes some bytes to the descriptor and returns how many, and one that closes what it
    needs. The first raises BlockingIOError instead of waiting.
    """
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        mode = 0
    if stat.S_ISSOCK(mode):
        connection = socket.socket(fileno=os.dup(fd))
        return lambda data: connection.send(data, socket.MSG_DONTWAIT), connection.close
    if not (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
        # A regular file never makes its writer wait. Opened anew, it would have a position of its own.
        return lambda data: os.write(fd, data), lambda: None
    # O_NONBLOCK belongs to the open file, which other processes share that do not expect it: the shell, or a job's
    # supervisor. Opened anew by its name in /proc, the pipe or terminal is an open file of our own.
    with suppress(OSError):
        own = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        return lambda data: os.write(own, data), lambda: os.close(own)
    return _polled(fd), lambda: None


def _polled(fd: int) -> Send:
    """Return a function as `_sender` does, for what cannot be opened anew: another user's pipe, or outside Linux."""
    room = poll()
    room.register(fd, POLLOUT)

    def send(data: bytes) -> int:
        # Linux 6.5 has a way to ask for a write that does not wait. Without it, another process may fill the pipe
        # between poll and write, and this one waits. That takes a pipe which cannot be opened and several writers.
        if hasattr(os, "RWF_NOWAIT"):
            try:
                return os.pwritev(fd, [data], -1, os.RWF_NOWAIT)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                    raise
        if not room.poll(0):
            raise BlockingIOError
        return os.write(fd, data)

    return send

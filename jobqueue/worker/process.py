"""A program and everything it starts: begun in a session of its own, heard until it ends, and gone without a rest.

Runs in a process with a single thread (`supervisor`): what is done between fork and exec is only safe there.
"""

from __future__ import annotations

import codecs
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from jobqueue.output import OUTPUT_LIMIT_BYTES, cut

CHUNK_BYTES = 256 * 1024
DRAIN_SECONDS = 0.25
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LIBC = ctypes.CDLL(None)
IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


@dataclass(frozen=True)
class Launch:
    """What to start: the file, its arguments, its whole environment, and the directory to start it in."""

    program: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    directory: str


class Stream:
    """One output of a program: the first megabyte is kept, the rest is read and forgotten."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.pipe = pipe
        self._kept = bytearray()
        os.set_blocking(pipe.fileno(), False)

    def read(self) -> bool:
        """Take what is there; return whether more may come."""
        try:
            chunk = os.read(self.pipe.fileno(), CHUNK_BYTES)
        except BlockingIOError:
            return True
        self._kept += chunk[: OUTPUT_LIMIT_BYTES - len(self._kept)]
        return bool(chunk)

    def drain(self, deadline: float) -> None:
        """Take what is left in the pipe, until `deadline` (monotonic): somebody may hold the other end for ever."""
        while time.monotonic() < deadline:
            before = len(self._kept)
            if not self.read() or len(self._kept) == before:
                return

    def text(self) -> str:
        """Return what was kept as text; bytes that are no UTF-8 show as U+FFFD, a character cut in two is left out."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return cut(decoder.decode(bytes(self._kept), final=len(self._kept) < OUTPUT_LIMIT_BYTES))


class Program:
    """A program that was started."""

    def __init__(self, launch: Launch) -> None:
        """Start it. Raises OSError when it cannot be started."""
        self._others = frozenset(_children())
        self._process = subprocess.Popen(
            [launch.program, *launch.arguments],
            env=dict(launch.environment),
            cwd=launch.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_in_the_child,  # noqa: PLW1509  # safe: this process has one thread
        )
        self.stdout = Stream(cast("IO[bytes]", self._process.stdout))
        self.stderr = Stream(cast("IO[bytes]", self._process.stderr))
        self.pidfd = os.pidfd_open(self._process.pid)

    def kill(self) -> None:
        """Kill the program and all it started, however far it went: sessions and orphans included."""
        os.killpg(self._process.pid, signal.SIGKILL)  # not reaped yet, so the number is still its own
        self._process.wait()
        kill_children(spare=self._others)

    def end(self) -> int:
        """Return how the program ended (-n: by signal n) after it is gone whole and its last output is read."""
        self.kill()
        deadline = time.monotonic() + DRAIN_SECONDS
        for stream in (self.stdout, self.stderr):
            stream.drain(deadline)
            stream.pipe.close()
        os.close(self.pidfd)
        return self._process.returncode


def adopt_orphans() -> None:
    """Become the parent of whatever a job's processes leave behind, so that it can be found."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def kill_children(spare: frozenset[int] = frozenset()) -> None:
    """Kill every child of this process but those to spare, and the orphans that each leaves, until there are none."""
    while children := set(_children()) - spare:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def ignore_signals() -> None:
    """Ignore what is sent to everybody: the worker decides when to stop."""
    for ignored in IGNORED:
        signal.signal(ignored, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _in_the_child() -> None:
    """Die with the supervisor, and take signals as any program does: ignored ones would stay ignored over exec."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    for ignored in IGNORED:
        signal.signal(ignored, signal.SIG_DFL)
    os.umask(0o077)


def _children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]

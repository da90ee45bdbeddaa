"""A process whose standard error is a pipe that nobody reads, until the test does."""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.paths import PATH, ROOT
from tests.support.service import Service
from tests.support.waiting import TIME_LIMIT_SECONDS

SMALLEST_PIPE = 4096


def small_pipe() -> tuple[int, int]:
    """Return the reading and the writing end of the smallest pipe that there is."""
    reads, writes = os.pipe()
    fcntl.fcntl(writes, fcntl.F_SETPIPE_SZ, SMALLEST_PIPE)
    return reads, writes


@dataclass
class Unread:
    """A running process, and the end of the pipe that is not read."""

    process: subprocess.Popen[bytes]
    pipe: int

    def read_to_the_end(self) -> list[str]:
        """Read all that it still writes; return the lines. A line without an end fails the test."""
        text = b""
        while select.select([self.pipe], [], [], TIME_LIMIT_SECONDS)[0] and (piece := os.read(self.pipe, 65536)):
            text += piece
        assert text.endswith(b"\n")
        return text.decode().splitlines()


@contextmanager
def unread(command: Sequence[str], variables: Mapping[str, str]) -> Iterator[Unread]:
    """Run Python with these arguments in the project's folder. What is left of it at the end is killed."""
    ours, theirs = small_pipe()
    environment = {"PATH": PATH, "PYTHONDONTWRITEBYTECODE": "1", **variables}
    process = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stderr=theirs
    )
    os.close(theirs)
    try:
        yield Unread(process, ours)
    finally:
        Service(process, ROOT).kill_whole()
        os.close(ours)

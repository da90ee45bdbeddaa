"""A program and everything it starts: begun in a session of its own, heard until it ends, and gone without a rest.

Runs in a process with a single thread (`supervisor`): what is done between fork and exec is only safe there.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, cast

from jobqueue.worker.host.hardening import die_with, oom_score_of_jobs, yield_to_the_worker
from jobqueue.worker.host.process_tree import children_of, kill_children
from jobqueue.worker.isolation.levels import Isolation, Paths
from jobqueue.worker.supervisor.capture import Stream
from jobqueue.worker.supervisor.messages import Launch

DRAIN_SECONDS = 0.25
BUSY_PAUSES_SECONDS = (0.001, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05)
"""How long a file that was just written may be "busy": until what was forked meanwhile has closed its copy of it."""


@dataclass(frozen=True)
class Usage:
    """What a program and everything it started used."""

    user_cpu_seconds: float
    system_cpu_seconds: float
    peak_memory_bytes: int


class Program:
    """A program that was started."""

    def __init__(self, launch: Launch, isolation: Isolation) -> None:
        """Start it. Raises OSError, ValueError or SubprocessError when it cannot be started."""
        self._isolation = isolation
        self._others = frozenset(children_of(os.getpid()))
        self._before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._ooms_before = _count_oom_kills()
        self._process = _start(launch, isolation)
        try:
            self.stdout = Stream(cast("IO[bytes]", self._process.stdout))
            self.stderr = Stream(cast("IO[bytes]", self._process.stderr))
            self.pidfd = os.pidfd_open(self._process.pid)
        except BaseException:
            kill_children(spare=self._others)
            raise

    def terminate(self) -> None:
        """Ask the program to end; one that is stopped goes on to hear it."""
        for number in (signal.SIGTERM, signal.SIGCONT):
            targets = self._isolation.processes_to_signal(self._process.pid)
            with suppress(ProcessLookupError):
                for pid in targets:
                    os.kill(pid, number)
                if not targets:
                    os.killpg(self._process.pid, number)  # not reaped yet, so the number is still its own

    def end(self) -> tuple[int, Usage]:
        """Return how the program ended (-n: by signal n) and what it used, after it is gone whole and its last output
        is read.
        """
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        _, status, leader = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        reaped = kill_children(spare=self._others)
        reaped.add(leader)
        deadline = time.monotonic() + DRAIN_SECONDS
        for stream in (self.stdout, self.stderr):
            stream.drain(deadline)
            stream.pipe.close()
        os.close(self.pidfd)
        return self._isolation.program_status(self._process.returncode), self._usage(reaped.peak_memory_bytes)

    def met_oom_killer(self) -> bool:
        """Whether the kernel has killed for want of memory since the program was started."""
        return _count_oom_kills() > self._ooms_before

    def _usage(self, peak_memory_bytes: int) -> Usage:
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return Usage(
            round(after.ru_utime - self._before.ru_utime, 6),
            round(after.ru_stime - self._before.ru_stime, 6),
            peak_memory_bytes,
        )


def _start(launch: Launch, isolation: Isolation) -> subprocess.Popen[bytes]:
    """Start a program, again and again while its file is busy."""
    paths = Paths(launch.program, launch.directory)
    isolation.prepare(paths)
    parent = os.getpid()
    oom_score = oom_score_of_jobs()

    def in_the_child() -> None:
        yield_to_the_worker(oom_score)
        isolation.enter()
        die_with(parent)

    try:
        for pause in (*BUSY_PAUSES_SECONDS, None):
            try:
                command = isolation.command(paths, launch.arguments, launch.environment)
                return subprocess.Popen(
                    command.words,
                    env=dict(command.environment),
                    pass_fds=command.descriptors,
                    cwd=launch.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                    preexec_fn=in_the_child,  # noqa: PLW1509  # safe: this process has one thread
                )
            except OSError as error:
                if error.errno != errno.ETXTBSY or pause is None:
                    raise
                time.sleep(pause)
        raise AssertionError("the last pause is None")
    finally:
        isolation.close_descriptors()


def _count_oom_kills() -> int:
    """Return how often the kernel has killed for want of memory, as far as it tells us."""
    with suppress(OSError, ValueError, IndexError), open("/proc/vmstat", "rb", buffering=0) as file:
        return int(file.read().split(b"oom_kill ", 1)[1].split(maxsplit=1)[0])
    return 0

"""A program and everything it starts: begun in a session of its own, read until it ends, then completely removed.

Belongs to a process with a single thread: only there is it safe to run Python between fork and exec.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import time
from contextlib import suppress

from jobqueue.job import Measured
from jobqueue.worker.host import child_process
from jobqueue.worker.host.hardening import die_with, oom_score_of_jobs, yield_to_the_worker
from jobqueue.worker.host.process_tree import children_of, kill_children, reap_ended
from jobqueue.worker.isolation.levels import Isolation, Paths
from jobqueue.worker.supervisor.capture import Capture
from jobqueue.worker.supervisor.messages import Launch, signal_name

LAST_OUTPUT_SECONDS = 0.25
"""Time limit for reading what a program that has ended left in its pipes."""

BUSY_PAUSES_SECONDS = (0.001, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05)
"""Pauses between attempts to start a file that is "busy" because it was just written: it stays busy until every process
that was forked meanwhile has closed its copy of the descriptor.
"""


class Program:
    """A program that was started. Its first process is the leader."""

    def __init__(self, launch: Launch, isolation: Isolation) -> None:
        """Start it. Raises OSError, ValueError or SubprocessError when it cannot be started."""
        self._isolation = isolation
        self._spared = frozenset(children_of(os.getpid()))
        self._before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._ooms_before = _count_oom_kills()
        self._started_at_ms = _now_ms()
        self._leader = _start(launch, isolation)
        self._peak_of_orphans = 0
        try:
            self.captures = {name: Capture(getattr(self._leader, name)) for name in ("stdout", "stderr")}
        except BaseException:
            kill_children(spare=self._spared)
            raise

    def has_ended(self) -> bool:
        """Whether the leader has ended. Its status is left for `end`."""
        return os.waitid(os.P_PID, self._leader.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def reap_orphans(self) -> None:
        """Reap the daemons of the program that have ended: their parents are gone, so that they have become ours."""
        # A zombie counts against the limit of processes, and a program may run for days.
        spared = {*self._spared, self._leader.pid}
        self._peak_of_orphans = max(self._peak_of_orphans, reap_ended(spare=spared))

    def terminate(self) -> None:
        """Send SIGTERM to the program, then SIGCONT so that it can react to it even when it is suspended."""
        for number in (signal.SIGTERM, signal.SIGCONT):
            targets = self._isolation.processes_to_signal(self._leader.pid)
            with suppress(ProcessLookupError):
                for pid in targets:
                    os.kill(pid, number)
                if not targets:
                    os.killpg(self._leader.pid, number)  # not reaped yet, so the number still belongs to it

    def end(self) -> tuple[int, Measured]:
        """Kill whatever is left of the program and read the rest of its outputs.

        Returns how the leader ended (-n: by signal n), and what was measured apart from the outputs.
        """
        # The process group first, which includes the leader: one call kills most of the program at once, and the leader
        # can start nothing more. The leader is reaped before the others because its status is the program's. What it
        # leaves behind is then below us, since we adopt orphans, so `kill_children` also finds what left the group.
        with suppress(ProcessLookupError):
            os.killpg(self._leader.pid, signal.SIGKILL)
        _, status, usage = os.wait4(self._leader.pid, 0)
        self._leader.returncode = os.waitstatus_to_exitcode(status)
        peak_memory_bytes = max(usage.ru_maxrss * 1024, kill_children(spare=self._spared), self._peak_of_orphans)
        # Only now can nobody write any more. The time limit is for a process that we could not kill.
        deadline = time.monotonic() + LAST_OUTPUT_SECONDS
        for capture in self.captures.values():
            capture.drain(deadline)
            capture.pipe.close()
        status = self._isolation.program_status(self._leader.returncode)
        return status, self._measured(status, peak_memory_bytes)

    def was_oom_killed(self, status: int) -> bool:
        """Whether the program, which ended like this, was killed because memory ran out."""
        # The kernel does not say whom it killed, only how often it did so on this host. SIGKILL while that number grew
        # is the best evidence that an ordinary user can have.
        return status == -signal.SIGKILL and _count_oom_kills() > self._ooms_before

    def _measured(self, status: int, peak_memory_bytes: int) -> Measured:
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return Measured(
            signal=signal_name(-status) if status < 0 else None,
            user_cpu_seconds=round(after.ru_utime - self._before.ru_utime, 6),
            system_cpu_seconds=round(after.ru_stime - self._before.ru_stime, 6),
            peak_memory_bytes=peak_memory_bytes,
            program_started_at_ms=self._started_at_ms,
            program_ended_at_ms=_now_ms(),
        )


def _start(launch: Launch, isolation: Isolation) -> subprocess.Popen[bytes]:
    """Start a program; try again while its file is busy."""
    paths = Paths(launch.program, launch.directory)
    isolation.prepare(paths)
    try:
        for pause in BUSY_PAUSES_SECONDS:
            try:
                return _start_once(launch, isolation, paths)
            except OSError as error:
                if error.errno != errno.ETXTBSY:
                    raise
            time.sleep(pause)
        return _start_once(launch, isolation, paths)
    finally:
        isolation.close_descriptor()


def _start_once(launch: Launch, isolation: Isolation, paths: Paths) -> subprocess.Popen[bytes]:
    supervisor = os.getpid()
    oom_score = oom_score_of_jobs()

    def in_the_child() -> None:
        yield_to_the_worker(oom_score)
        isolation.enter()
        die_with(supervisor)  # last: a change of user would undo it

    command = isolation.command(paths, launch.arguments, launch.environment)
    return child_process.start(
        command.words,
        command.environment,
        pass_fds=command.descriptors,
        cwd=launch.directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=in_the_child,  # safe: this process has one thread
    )


def _count_oom_kills() -> int:
    """Return how often the kernel has killed a process because memory ran out; 0 where it does not say."""
    with suppress(OSError, ValueError, IndexError), open("/proc/vmstat", "rb", buffering=0) as file:
        return int(file.read().split(b"oom_kill ", 1)[1].split(maxsplit=1)[0])
    return 0


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

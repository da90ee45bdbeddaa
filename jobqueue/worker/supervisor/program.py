"""A program and everything it starts: begun in a session of its own, read until it ends, then completely removed."""

from __future__ import annotations

import errno
import io
import math
import os
import resource
import signal
import time
from collections.abc import Mapping
from contextlib import suppress

from jobqueue.job import Measured
from jobqueue.worker.host import child_process
from jobqueue.worker.host.hardening import OomScore, die_with, yield_to_the_worker
from jobqueue.worker.host.process_tree import children_of, has_children, kill_children, reap_all, reap_ended
from jobqueue.worker.isolation import executable
from jobqueue.worker.isolation.levels import Isolation, Paths
from jobqueue.worker.supervisor.capture import Capture
from jobqueue.worker.supervisor.messages import Launch, signal_name
from jobqueue.worker.supervisor.vfork import Order, Vfork

OUTPUTS = ("stdout", "stderr")

LAST_OUTPUT_SECONDS = 0.25
"""Time limit for reading what a program that has ended left in its pipes."""

BUSY_PAUSES_SECONDS = (0.001, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05)
"""Pauses between attempts to start a file that is "busy" because it was just written: it stays busy until every process
that was forked meanwhile has closed its copy of the descriptor.
"""


RECENT_SECONDS = 1.0
"""How old the count of processes killed for want of memory may be when a program starts."""


class Starter:
    """Starts programs at a level of isolation, by vfork where that works.

    Belongs to a process with a single thread: only there is it safe to run code between fork and exec.
    """

    def __init__(self, isolation: Isolation, oom_score: OomScore) -> None:
        self.isolation = isolation
        self._oom_score = oom_score
        self._vfork = Vfork.make()

    def start(self, launch: Launch) -> tuple[int, Mapping[str, int]]:
        """Start a program; try again while its file is busy. Return its process id, and the descriptors of its outputs.

        Raises OSError, ValueError or SubprocessError when it cannot be started.
        """
        with executable.opened(launch.program, launch.program_number) as descriptor:
            by_descriptor = descriptor if self.isolation.executes_itself else None
            # A sandbox is built around the file that is executed, whatever its path leads to by now.
            program = launch.program if by_descriptor is None else f"/proc/self/fd/{by_descriptor}"
            self.isolation.prepare(Paths(program, launch.directory))
            try:
                for pause in BUSY_PAUSES_SECONDS:
                    try:
                        return self._start_once(launch, by_descriptor)
                    except OSError as error:
                        if error.errno != errno.ETXTBSY:
                            raise
                    time.sleep(pause)
                return self._start_once(launch, by_descriptor)
            finally:
                self.isolation.close_descriptor()

    def _start_once(self, launch: Launch, descriptor: int | None) -> tuple[int, Mapping[str, int]]:
        paths = Paths(launch.program, launch.directory)
        command = self.isolation.command(paths, launch.arguments, launch.environment)
        readers: dict[str, int] = {}
        writers: dict[str, int] = {}
        try:
            for name in OUTPUTS:
                readers[name], writers[name] = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(readers["stdout"], False)
            calls = self.isolation.calls([*writers.values()])
            ends = writers["stdout"], writers["stderr"], readers["stdout"]
            order = Order(command, launch.directory, *ends, calls, descriptor)
            return (self._by_vfork if self._vfork else self._by_fork)(order), readers
        except BaseException:
            for reader in readers.values():
                os.close(reader)
            raise
        finally:
            for writer in writers.values():
                os.close(writer)

    def _by_vfork(self, order: Order) -> int:
        assert self._vfork is not None  # noqa: S101  # the caller has looked
        # The child inherits the directory and the score. For less than a millisecond this process is as likely to be
        # killed as its program when memory runs out; the kernel accepts a new score of the child only from itself, and
        # there is no Python in it.
        os.chdir(order.directory)
        self._oom_score.take_that_of_jobs()
        try:
            return self._vfork.start(order)
        finally:
            self._oom_score.take_own()
            os.chdir("/")

    def _by_fork(self, order: Order) -> int:
        supervisor = os.getpid()

        def in_the_child() -> None:
            yield_to_the_worker(self._oom_score.of_jobs)
            if order.program_fd is not None:  # it was made inheritable, as all others are closed before the execution
                os.set_inheritable(order.program_fd, False)
            for call in order.calls:
                call.make()
            die_with(supervisor)  # last: a change of user would undo it

        by_descriptor = [] if order.program_fd is None else [order.program_fd]
        process = child_process.start(
            order.command.words,
            order.command.environment,
            executable=f"/proc/self/fd/{order.program_fd}" if by_descriptor else None,
            pass_fds=[*order.command.descriptors, *by_descriptor],
            cwd=order.directory,
            stdout=order.stdout_fd,
            stderr=order.stderr_fd,
            preexec_fn=in_the_child,  # safe: this process has one thread
        )
        process.returncode = 0  # so that nobody but `Program` waits for it
        return process.pid


class Program:
    """A program that was started. Its first process is the leader."""

    def __init__(self, launch: Launch, starter: Starter, oom_kills: OomKills) -> None:
        """Start it. Raises OSError, ValueError or SubprocessError when it cannot be started."""
        self._isolation = starter.isolation
        self._spared = frozenset(children_of(os.getpid())) if has_children() else frozenset[int]()
        self._before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._oom_kills = oom_kills
        self._ooms_before = oom_kills.recent()
        self._started_at_ms = _now_ms()
        self._leader, outputs = starter.start(launch)
        self._peak_of_orphans = 0
        self.captures = {name: Capture(io.FileIO(descriptor)) for name, descriptor in outputs.items()}

    def has_ended(self) -> bool:
        """Whether the leader has ended. Its status is left for `end`."""
        return os.waitid(os.P_PID, self._leader, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def reap_orphans(self) -> None:
        """Reap the daemons of the program that have ended: their parents are gone, so that they have become ours."""
        # A zombie counts against the limit of processes, and a program may run for days.
        spared = {*self._spared, self._leader}
        self._peak_of_orphans = max(self._peak_of_orphans, reap_ended(spare=spared))

    def terminate(self) -> None:
        """Send SIGTERM to the program, then SIGCONT so that it can react to it even when it is suspended."""
        for number in (signal.SIGTERM, signal.SIGCONT):
            targets = self._isolation.processes_to_signal(self._leader)
            with suppress(ProcessLookupError):
                for pid in targets:
                    os.kill(pid, number)
                if not targets:
                    os.killpg(self._leader, number)  # not reaped yet, so the number still belongs to it

    def end(self) -> tuple[int, Measured]:
        """Kill whatever is left of the program and read the rest of its outputs.

        Returns how the leader ended (-n: by signal n), and what was measured apart from the outputs.
        """
        # The process group first, which includes the leader: one call kills most of the program at once, and the leader
        # can start nothing more. The leader is reaped before the others because its status is the program's. What it
        # leaves behind is then below us, since we adopt orphans, so `kill_children` also finds what left the group.
        with suppress(ProcessLookupError):
            os.killpg(self._leader, signal.SIGKILL)
        _, wait_status, usage = os.wait4(self._leader, 0)
        peak_memory_bytes = max(usage.ru_maxrss * 1024, self._end_orphans(), self._peak_of_orphans)
        # Only now can nobody write any more. The time limit is for a process that we could not kill.
        deadline = time.monotonic() + LAST_OUTPUT_SECONDS
        for capture in self.captures.values():
            capture.drain(deadline)
            capture.pipe.close()
        status = self._isolation.program_status(os.waitstatus_to_exitcode(wait_status))
        return status, self._measured(status, peak_memory_bytes)

    def _end_orphans(self) -> int:
        """Kill what the leader has left; return the most memory, in bytes, that any one of these processes held."""
        # Most programs leave nothing, and the kernel says so at once. Whatever they had started would be below us now,
        # and we would have a child at the least.
        peak_memory_bytes = reap_all()
        return max(peak_memory_bytes, kill_children(spare=self._spared)) if has_children() else peak_memory_bytes

    def was_oom_killed(self, status: int) -> bool:
        """Whether the program, which ended like this, was killed because memory ran out."""
        # The kernel does not say whom it killed, only how often it did so on this host. SIGKILL while that number grew
        # is the best evidence that an ordinary user can have.
        return status == -signal.SIGKILL and self._oom_kills.now() > self._ooms_before

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


class OomKills:
    """How often the kernel has killed a process on this host because memory ran out; 0 where it does not say."""

    def __init__(self) -> None:
        self._count, self._read_at = 0, -math.inf

    def now(self) -> int:
        """Return the count."""
        with suppress(OSError, ValueError, IndexError), open("/proc/vmstat", "rb", buffering=0) as file:
            self._count = int(file.read().split(b"oom_kill ", 1)[1].split(maxsplit=1)[0])
        self._read_at = time.monotonic()
        return self._count

    def recent(self) -> int:
        """Return the count as it was at most RECENT_SECONDS ago."""
        # The kernel adds up some 200 numbers of each processor for this file, which takes longer than all other
        # system calls of a short program.
        return self._count if time.monotonic() - self._read_at < RECENT_SECONDS else self.now()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

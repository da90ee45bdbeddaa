"""Starts a program by vfork(2), with calls of C functions in the child before it executes the program.

Forking a Python process takes three milliseconds of processor time, since the child gets a copy of everything. A child
of vfork borrows its parent's memory until it executes a program, which costs nothing. But no Python code may run in it:
that would change the parent. So what the child has to do is a list of calls of C functions, and the C library carries
it out: `setcontext` goes to a context that `makecontext` has made, which calls a function and then goes to the next
context. `clone` starts the child in `setcontext`, with the first of them. docs/decisions/0013 has the alternatives.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from jobqueue.worker.host.child_process import c_strings, pairs
from jobqueue.worker.host.hardening import LIBC, NICENESS, PR_SET_PDEATHSIG, Call
from jobqueue.worker.isolation.base import Command
from jobqueue.worker.supervisor.contexts import MARKER, PLACES, Chain

F_SETFD = 2

EXECUTION = PLACES - 3
GUARD = EXECUTION - 1
PATH_BYTES = 4096
ERRNO_BYTES = 4
LARGEST_ERRNO = 4095
ALIVE = b"!"
NOT_EXECUTED = 127
NUL, SLASH = 0, ord("/")
AT_EMPTY_PATH = 0x1000


class Order(NamedTuple):
    """What to start: a command, the directory to start it in, the descriptors of its outputs, the one (not blocking)
    where this process reads the standard output, and the calls that confine the child. With `program_fd`, that file is
    executed, whatever the first word of the command leads to.
    """

    command: Command
    directory: str
    stdout_fd: int
    stderr_fd: int
    read_fd: int
    calls: Sequence[Call] = ()
    program_fd: int | None = None


class Vfork:
    """Starts programs, one after the other. For a process with a single thread."""

    def __init__(self) -> None:
        """Prepare what is the same for all programs. Raises AttributeError when the C library lacks a function."""
        self._path = ctypes.create_string_buffer(PATH_BYTES + LARGEST_ERRNO)
        self._execveat = getattr(LIBC, "execveat", None)
        self._alive = ctypes.create_string_buffer(ALIVE)
        self._errnos = (ctypes.c_int * 2)()  # of the first call that failed, and of the execution
        errno_here = _errno_address()
        self._chain = Chain(unblocked=EXECUTION)
        changed = [each for each in signal.valid_signals() if signal.getsignal(each) is not signal.SIG_DFL]
        # Whether one of these fails does not matter, so they come before the error number is cleared.
        begin = [
            *(Call(LIBC.signal, number, None) for number in changed),
            Call(LIBC.setsid),
            Call(LIBC.nice, NICENESS),
            Call(LIBC.memset, errno_here, 0, ERRNO_BYTES),
        ]
        call_errno, exec_errno = (ctypes.c_void_p(ctypes.addressof(self._errnos) + each) for each in (0, ERRNO_BYTES))
        # No call can depend on the result of another. But after a failure the program must not be executed. So as many
        # bytes of its path are overwritten as the error number says: none when nothing failed. The number becomes the
        # third argument of `memset` when it is copied into the context that calls it (at GUARD, see `_clone`).
        end = [
            Call(LIBC.prctl, PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),
            # The parent may have died before it became the one to die with. Nobody can read the output then, so that
            # this write fails.
            Call(LIBC.write, 1, self._alive, len(ALIVE)),
            Call(LIBC.memcpy, call_errno, errno_here, ERRNO_BYTES),
            Call(LIBC.memcpy, self._chain.third_argument(GUARD), errno_here, ERRNO_BYTES),
            Call(LIBC.memset, self._path, NUL, MARKER),
            Call(LIBC.execve, self._path, None, None),
            Call(LIBC.memcpy, exec_errno, errno_here, ERRNO_BYTES),
            Call(LIBC._exit, NOT_EXECUTED),
        ]
        self._first, self._end = len(begin), PLACES - len(end)
        for place, call in [*enumerate(begin), *enumerate(end, self._end)]:
            self._chain.set(place, call, place + 1)

    @classmethod
    def make(cls) -> Vfork | None:
        """Return a new object; None where it does not work."""
        with suppress(AttributeError, OSError, ValueError):
            made = cls()
            if made._works():
                return made
        return None

    def _works(self) -> bool:
        """Try a program that does not exist, and a call that fails."""
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
        try:
            order = Order(Command(["/proc/self/no-program"], {}), "/", write_fd, write_fd, read_fd)
            results = []
            for changed in (
                order,
                order._replace(calls=[Call(LIBC.close, -1)]),
                order._replace(program_fd=write_fd),
                order._replace(program_fd=write_fd, calls=[Call(LIBC.close, -1)]),
            ):
                _, status = os.waitpid(self._clone(changed), 0)
                results.append((*self._errnos, os.waitstatus_to_exitcode(status)))
        finally:
            os.close(read_fd)
            os.close(write_fd)
        if results[2:] != [(0, errno.EACCES, NOT_EXECUTED), (errno.EBADF, errno.EACCES, NOT_EXECUTED)]:
            self._execveat = None  # an old kernel or a filter of system calls
        return results[:2] == [(0, errno.ENOENT, NOT_EXECUTED), (errno.EBADF, errno.ENOENT, NOT_EXECUTED)]

    def start(self, order: Order) -> int:
        """Start a program in the current directory; return its process id.

        It leads a session of its own, has this process's standard input, ignores and blocks no signal, and is killed
        when this process dies. Raises OSError when it cannot be executed, ValueError when no program can be given such
        words or variables, SubprocessError when a call failed; nothing has run then.
        """
        pid = self._clone(order)
        failed, number = self._errnos
        if (failed, number) == (0, errno.ENOENT) and order.program_fd is not None:
            # An emulator of another processor opens the program by a path, which it does not get with the descriptor.
            os.waitpid(pid, 0)
            self._take_sign(order)
            pid = self._clone(order, by_path=True)
            failed, number = self._errnos
        if not failed and not number:
            self._take_sign(order)
            return pid
        os.waitpid(pid, 0)
        if failed:
            raise subprocess.SubprocessError(f"the process cannot be prepared: {os.strerror(failed)}")
        raise OSError(number, os.strerror(number), order.command.words[0])

    def _take_sign(self, order: Order) -> None:
        """Take the byte out of the pipe by which the child has found that its parent lives."""
        with suppress(BlockingIOError):  # the child was killed before it came so far
            os.read(order.read_fd, len(ALIVE))

    def _clone(self, order: Order, by_path: bool = False) -> int:
        """Carry out all calls in a child of vfork. A descriptor to execute may be given by its path in /proc.

        Raises OSError and ValueError when there can be no child.
        """
        words, execveat = order.command.words, None if by_path or order.program_fd is None else self._execveat
        path, argv, variables = os.fsencode(words[0]), c_strings(words), c_strings(pairs(order.command.environment))
        if order.program_fd is not None:
            path = b"" if execveat else b"/proc/self/fd/%d" % order.program_fd
        if len(path) >= PATH_BYTES:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), words[0])
        ctypes.memset(self._path, NUL, len(self._path))
        ctypes.memmove(self._path, path, len(path))
        calls = [
            Call(LIBC.dup2, order.stdout_fd, 1),
            Call(LIBC.dup2, order.stderr_fd, 2),
            *(Call(LIBC.fcntl, descriptor, F_SETFD, 0) for descriptor in order.command.descriptors),
            *order.calls,
            Call(LIBC.close, order.read_fd),  # the child's copy
        ]
        for place, call in enumerate(calls, self._first):
            self._chain.set(place, call, place + 1 if place + 1 < self._first + len(calls) else self._end)
        # One error number is 1, so a single byte of this must make a path that nothing can be executed by: an empty one
        # or, where that stands for the descriptor, the root directory.
        fill, execution = NUL, Call(LIBC.execve, self._path, argv, variables)
        if execveat is not None:
            # Unlike /proc/self/fd/…, this lets the process be called as its file is (Linux 6.14).
            fill = SLASH
            execution = Call(execveat, order.program_fd, self._path, argv, variables, AT_EMPTY_PATH)
        self._chain.set(GUARD, Call(LIBC.memset, self._path, fill, MARKER), EXECUTION)
        self._chain.set(EXECUTION, execution, EXECUTION + 1)
        self._errnos[0] = self._errnos[1] = 0
        return self._chain.clone()


def _errno_address() -> ctypes.c_void_p:
    """Return where the C library stores the error number of this thread, and of its children of vfork."""
    location = LIBC["__errno_location"]
    location.restype = ctypes.c_void_p
    return ctypes.c_void_p(location())

"""Calls of C functions, one after another, in a child of vfork(2): a list of contexts as getcontext(3) has them."""

from __future__ import annotations

import ctypes
import signal
import struct

from jobqueue.worker.host.hardening import LIBC, Argument, Call, checked

FLAGS = 0x100 | 0x4000 | signal.SIGCHLD
"""CLONE_VM and CLONE_VFORK of <linux/sched.h>: the child shares its parent's memory, which waits meanwhile."""

CONTEXT_BYTES = 5120
"""More than a ucontext_t takes: 968 bytes on x86-64, 4,560 on AArch64."""

FIELDS = struct.Struct("@PPiN")
LINK_OFFSET = 8
"""Where the fields `uc_link` and `uc_stack` of a ucontext_t begin, on both."""

BLOCK_BYTES = 8192
"""A context and its stack. What runs there are system calls and copies of a few bytes; no signal is handled there."""

PLACES = 32
SIGNAL_SET_BYTES = 128
SPARE_ARGUMENTS = (ctypes.c_long(0),) * 8
MARKER = 0x5EED5EED


class Chain:
    """Contexts, each of which has a stack of its own, calls a function when it is entered, and enters another then.

    All signals are blocked in every context but the one at the place `unblocked`.
    """

    def __init__(self, unblocked: int) -> None:
        self._memory = ctypes.create_string_buffer((PLACES + 2) * BLOCK_BYTES)
        self._offset = ctypes.addressof(self._memory)
        self._begin = -(-self._offset // BLOCK_BYTES) * BLOCK_BYTES
        self._setcontext = ctypes.cast(LIBC.setcontext, ctypes.c_void_p)
        self._addresses: dict[str, ctypes.c_void_p] = {}
        self._all, none, self._before = (ctypes.create_string_buffer(SIGNAL_SET_BYTES) for _ in range(3))
        checked(LIBC.sigfillset(self._all))
        for place in range(PLACES):
            # A context begins with the mask of signals that there is when it is made.
            LIBC.sigprocmask(signal.SIG_SETMASK, none if place == unblocked else self._all, self._before)
            LIBC.getcontext(self._context(place))
            LIBC.sigprocmask(signal.SIG_SETMASK, self._before, None)

    def set(self, place: int, call: Call, successor: int) -> None:
        """Have a context make a call, and enter another one then. The caller keeps what the call refers to."""
        begin = self._begin + place * BLOCK_BYTES
        stack, link = begin + CONTEXT_BYTES, self._begin + successor * BLOCK_BYTES
        FIELDS.pack_into(self._memory, begin - self._offset + LINK_OFFSET, link, stack, 0, BLOCK_BYTES - CONTEXT_BYTES)
        name = call.function.__name__
        function = self._addresses.get(name)
        if function is None:
            function = self._addresses[name] = ctypes.cast(call.function, ctypes.c_void_p)
        # On x86-64 the end of a function overwrites what lies on the stack just below the link: the return address or,
        # where there are more arguments than registers, the last of these. With spare arguments a context can be used
        # again and again.
        arguments = [ctypes.c_long(_number(each)) for each in call.arguments]
        spare = SPARE_ARGUMENTS[len(arguments) :]
        LIBC.makecontext(ctypes.c_void_p(begin), function, len(SPARE_ARGUMENTS), *arguments, *spare)

    def third_argument(self, place: int) -> ctypes.c_void_p:
        """Return where the third argument of a context's function is. Raises ValueError when it cannot be found."""
        context = self._context(place)
        self.set(place, Call(LIBC.memset, None, 0, MARKER), place)
        offset = ctypes.string_at(context, CONTEXT_BYTES).index(struct.pack("@l", MARKER))
        return ctypes.c_void_p((context.value or 0) + offset)

    def clone(self) -> int:
        """Start a child of vfork in the first context; return its process id when it has left. Raises OSError."""
        # A signal for the child before it is in the first context would run a handler in this process's memory.
        LIBC.sigprocmask(signal.SIG_SETMASK, self._all, self._before)
        try:
            stack = ctypes.c_void_p(self._begin + (PLACES + 1) * BLOCK_BYTES)
            return checked(LIBC.clone(self._setcontext, stack, FLAGS, self._context(0)))
        finally:
            LIBC.sigprocmask(signal.SIG_SETMASK, self._before, None)

    def _context(self, place: int) -> ctypes.c_void_p:
        return ctypes.c_void_p(self._begin + place * BLOCK_BYTES)


def _number(argument: Argument) -> int:
    """Return what a C function gets for an argument: a number, or the address of a buffer."""
    if isinstance(argument, ctypes.Array):
        return ctypes.addressof(argument)
    return (argument.value if isinstance(argument, ctypes.c_void_p) else argument) or 0

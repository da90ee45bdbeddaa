"""Denies system calls to this process and to all that it starts, for good, by a filter of seccomp(2).

The numbers are those of <linux/seccomp.h>, <linux/filter.h>, <linux/audit.h>, and of the kernel's tables of calls.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import sys
from collections.abc import Sequence
from typing import NamedTuple

from jobqueue.worker.host.hardening import LIBC, checked

SET_MODE_FILTER = 1
SPEC_ALLOW = 1 << 2
"""Keeps the kernel from slowing down filtered programs, as it did before Linux 5.16 against attacks on speculation."""

LOAD, AND, EQUALS, RETURN = 0x20, 0x54, 0x15, 0x06
NUMBER_OFFSET, ARCHITECTURE_OFFSET, FIRST_ARGUMENT_OFFSET, SECOND_ARGUMENT_OFFSET = 0, 4, 16, 24
"""Where the fields of a `seccomp_data` begin. Of the arguments it is the lower half, which is all that counts here."""

X32_BIT = 1 << 30
"""Marks the calls of x32 programs, which have the numbers of x86-64 otherwise."""

ALLOW, FAIL = 0x7FFF0000, 0x00050000

IO_URING_SETUP = 425
"""The same number everywhere."""

SOCKETCALL = 102
SOCKETCALL_SOCKETS = (1, 8)
"""Which of the calls behind `socketcall` make sockets. The rest of its arguments is in memory that no filter sees."""

SOCKET_TYPE_MASK = 0xF
CONNECTED_PAIRS = (socket.SOCK_STREAM, socket.SOCK_SEQPACKET)
"""The types of sockets of which the two of a pair can never be connected to, or send to, any other."""

IN_A_NAMESPACE = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)
"""The families of sockets that a network namespace separates, as far as programs without capabilities use them."""

Instruction = tuple[int, int, int, int]


class Abi(NamedTuple):
    """The numbers of one table of system calls: `socket` and `socketpair`; `add_key`, `request_key` and `keyctl`."""

    architecture: int
    sockets: tuple[int, int]
    keyrings: tuple[int, int, int]
    has_socketcall: bool = False


GENERIC = ((198, 199), (217, 218, 219))
ABIS: dict[str, tuple[Abi, ...]] = {
    "x86_64": (Abi(0xC000003E, (41, 53), (248, 249, 250)), Abi(0x40000003, (359, 360), (286, 287, 288), True)),
    "aarch64": (Abi(0xC00000B7, *GENERIC), Abi(0x40000028, (281, 288), (309, 310, 311))),
    "riscv64": (Abi(0xC00000F3, *GENERIC),),
}
"""For each machine, the tables that its programs may use: its own, and that of the 32-bit programs that it runs."""

SECCOMP = {"x86_64": 317, "aarch64": 277, "riscv64": 277}


def available() -> bool:
    """Whether this kernel lets a process filter its system calls, and the numbers are known for this machine."""
    # The kernel looks at the filter only after it has found that it knows filters.
    return _machine() in ABIS and _seccomp(0, None) < 0 and ctypes.get_errno() == errno.EFAULT


def deny(families: Sequence[int] | None = None) -> None:
    """Deny the kernel's keyrings and, unless `families` is None, sockets of all families but these.

    A pair of Unix sockets that are connected to each other is allowed in any case. The process needs no_new_privs or
    CAP_SYS_ADMIN. Raises OSError.
    """
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in program(families)))
    filter_program = ctypes.create_string_buffer(
        struct.pack("@HP", len(instructions) // 8, ctypes.addressof(instructions))
    )
    if _seccomp(SPEC_ALLOW, filter_program) < 0:
        if ctypes.get_errno() != errno.EINVAL:
            raise OSError(ctypes.get_errno(), "the system calls of programs cannot be filtered")
        checked(_seccomp(0, filter_program))  # before Linux 4.17


def program(families: Sequence[int] | None) -> list[Instruction]:
    """Return the filter for this machine."""
    # Calls of an architecture that is not listed are denied: they could be those that the filter looks for.
    instructions = [(LOAD, 0, 0, ARCHITECTURE_OFFSET)]
    for abi in ABIS[_machine()]:
        instructions += _when(abi.architecture, _calls(abi, families))
    return [*instructions, _fail(errno.EPERM)]


def _calls(abi: Abi, families: Sequence[int] | None) -> list[Instruction]:
    """Return what decides about the calls of one table."""
    # The kernel remembers for each number whether it is allowed whatever the arguments are, so that most calls are not
    # slowed down by the filter. That is why the arguments are loaded only for the calls about which they decide.
    instructions = [(LOAD, 0, 0, NUMBER_OFFSET), (AND, 0, 0, ~X32_BIT & 0xFFFFFFFF)]
    for number in abi.keyrings:
        instructions += _when(number, [_fail(errno.ENOSYS)])  # as in a kernel without keyrings
    if families is not None:
        # io_uring makes sockets without the system call for it.
        instructions += _when(IO_URING_SETUP, [_fail(errno.EPERM)])
        made, paired = abi.sockets
        instructions += _when(made, _only(families))
        instructions += _when(paired, _only(families) if socket.AF_UNIX in families else _only_connected_pairs())
    if families is not None and abi.has_socketcall:
        denied = [each for call in SOCKETCALL_SOCKETS for each in _when(call, [_fail(errno.EAFNOSUPPORT)])]
        instructions += _when(SOCKETCALL, [(LOAD, 0, 0, FIRST_ARGUMENT_OFFSET), *denied, (RETURN, 0, 0, ALLOW)])
    return [*instructions, (RETURN, 0, 0, ALLOW)]


def _only(families: Sequence[int]) -> list[Instruction]:
    return [(LOAD, 0, 0, FIRST_ARGUMENT_OFFSET), *_allow(families), _fail(errno.EAFNOSUPPORT)]


def _only_connected_pairs() -> list[Instruction]:
    second = [(LOAD, 0, 0, SECOND_ARGUMENT_OFFSET), (AND, 0, 0, SOCKET_TYPE_MASK), *_allow(CONNECTED_PAIRS)]
    return [(LOAD, 0, 0, FIRST_ARGUMENT_OFFSET), *_when(socket.AF_UNIX, second), _fail(errno.EAFNOSUPPORT)]


def _allow(values: Sequence[int]) -> list[Instruction]:
    """Return what allows the system call when the loaded value is one of these."""
    return [each for value in values for each in _when(value, [(RETURN, 0, 0, ALLOW)])]


def _when(value: int, instructions: list[Instruction]) -> list[Instruction]:
    """Return what carries out these instructions when the loaded value is this one, and else jumps over them."""
    return [(EQUALS, 0, len(instructions), value), *instructions]


def _fail(number: int) -> Instruction:
    """Return what makes the system call fail with this error number."""
    return (RETURN, 0, 0, FAIL | number)


def _machine() -> str:
    return os.uname().machine if sys.maxsize > 2**32 else ""


def _seccomp(flags: int, argument: ctypes.Array[ctypes.c_char] | None) -> int:
    # Every argument is as wide as a register: the upper half of a narrower one could be anything.
    words = [ctypes.c_ulong(each) for each in (SECCOMP[_machine()], SET_MODE_FILTER, flags)]
    return int(LIBC.syscall(*words, argument))

"""Listeners on this host, and a program that tries every way to reach them."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.support.confined import Sandbox, python

PROGRAM = r"""
import ctypes, json, mmap, socket, struct, sys

libc = ctypes.CDLL(None, use_errno=True)

def send(family, kind, protocol=0):
    def way(address):
        with socket.socket(family, kind, protocol) as client:
            client.settimeout(2)
            client.connect(tuple(address) if isinstance(address, list) else address)
            client.send(b"x")
    return way

def fast_open(address):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(2)
        client.sendto(b"x", socket.MSG_FASTOPEN, tuple(address))

def datagram_of_a_pair(address):
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.sendto(b"x", address)

def opened(family, kind, protocol=0):
    return lambda: socket.socket(family, kind, protocol).close()

def call(*numbers):
    result = libc.syscall(*map(ctypes.c_long, numbers))
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")

def call_of_32_bits(*numbers):
    # push rbx; mov eax, ebx, ecx, edx; int 0x80; pop rbx; ret
    code = b"\x53" + b"".join(
        struct.pack("<BI", operation, each & 0xFFFFFFFF) for operation, each in zip(b"\xb8\xbb\xb9\xba", numbers)
    ) + b"\xcd\x80\x5b\xc3"
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    result = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
    if result < 0:
        raise OSError(-result, "refused")

STREAM, DATAGRAM, RAW = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW
ways = {
    "tcp": send(socket.AF_INET, STREAM), "tcp6": send(socket.AF_INET6, STREAM),
    "mptcp": send(socket.AF_INET, STREAM, 262), "fast open": fast_open,
    "udp": send(socket.AF_INET, DATAGRAM), "udp6": send(socket.AF_INET6, DATAGRAM),
    "abstract": send(socket.AF_UNIX, STREAM), "abstract datagram": send(socket.AF_UNIX, DATAGRAM),
    "abstract pair": datagram_of_a_pair,
    "path": send(socket.AF_UNIX, STREAM), "path datagram": send(socket.AF_UNIX, DATAGRAM),
    "path pair": datagram_of_a_pair,
}
kinds = {
    "vsock": opened(40, STREAM), "ping": opened(socket.AF_INET, DATAGRAM, 1), "raw": opened(socket.AF_INET, RAW, 1),
    "packet": opened(17, RAW), "bluetooth": opened(31, RAW, 1), "alg": opened(38, 5), "xdp": opened(44, RAW),
    "tipc pair": lambda: socket.socketpair(30, socket.SOCK_SEQPACKET),
    "io_uring": lambda: call(425, 8, ctypes.addressof(ctypes.create_string_buffer(120))),
}
if sys.argv[2] == "x86_64":
    kinds |= {
        "inet of 32 bits": lambda: call_of_32_bits(359, 2, 1, 0),
        "vsock of 32 bits": lambda: call_of_32_bits(359, 40, 1, 0),
        "socketcall": lambda: call_of_32_bits(102, 1, 0, 0), "inet of x32": lambda: call(41 | 1 << 30, 2, 1, 0),
        "io_uring of 32 bits": lambda: call_of_32_bits(425, 8, 0, 0),
        "wide family": lambda: call(41, 2 | 1 << 32, 1, 0),
    }

def tried(action, *arguments):
    try:
        action(*arguments)
    except OSError as error:
        return error.errno or type(error).__name__
    return "done"

addresses = json.loads(sys.argv[1])
results = {name: tried(ways[name.split(" at ")[0]], address) for name, address in addresses.items()}
results |= {name: tried(action) for name, action in kinds.items()}
try:
    results["interfaces"] = [name for _, name in socket.if_nameindex()]
except OSError as error:
    results["interfaces"] = error.errno
print(json.dumps(results))
"""
"""Tries to send a byte in each way to each address, to open each kind of socket, and to list the network interfaces.
Prints what came of each: `done` or an error number.
"""

UNIX = {"": socket.SOCK_STREAM, " datagram": socket.SOCK_DGRAM, " pair": socket.SOCK_DGRAM}


class Listeners:
    """One listener for each way, by the name of the way."""

    def __init__(self, stack: ExitStack) -> None:
        self._sockets: dict[str, socket.socket] = {}
        for name, family, kind in (
            ("tcp", socket.AF_INET, socket.SOCK_STREAM),
            ("tcp6", socket.AF_INET6, socket.SOCK_STREAM),
            ("mptcp", socket.AF_INET, socket.SOCK_STREAM),
            ("fast open", socket.AF_INET, socket.SOCK_STREAM),
            ("udp", socket.AF_INET, socket.SOCK_DGRAM),
            ("udp6", socket.AF_INET6, socket.SOCK_DGRAM),
        ):
            if family == socket.AF_INET or socket.has_dualstack_ipv6():
                self._listen(stack, name, family, kind, ("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory(dir=each))) for each in ("/tmp", "/run")]
        for way, kind in UNIX.items():
            self._listen(stack, f"abstract{way}", socket.AF_UNIX, kind, f"\0jobqueue-test-{os.getpid()}{way}")
            for folder in folders:
                folder.chmod(0o755)
                path = folder / f"socket{way}"
                self._listen(stack, f"path{way} at {folder.parent}", socket.AF_UNIX, kind, str(path))
                path.chmod(0o777)

    def _listen(
        self, stack: ExitStack, name: str, family: socket.AddressFamily, kind: socket.SocketKind, address: Any
    ) -> None:
        listener = stack.enter_context(socket.socket(family, kind))
        listener.bind(address)
        listener.setblocking(False)
        if kind == socket.SOCK_STREAM:
            listener.listen()
        self._sockets[name] = listener

    @property
    def names(self) -> set[str]:
        """The names of all listeners."""
        return {*self._sockets}

    def addresses(self) -> Mapping[str, Any]:
        """Return the address of each listener, ready for JSON."""
        names = {name: each.getsockname() for name, each in self._sockets.items()}
        return {name: each.decode() if isinstance(each, bytes) else each for name, each in names.items()}

    def heard(self) -> set[str]:
        """Return the names of the listeners that somebody has reached."""
        return {name for name, each in self._sockets.items() if _was_reached(each)}


@contextmanager
def listeners() -> Iterator[Listeners]:
    """Listen in each way."""
    with ExitStack() as stack:
        yield Listeners(stack)


def try_to_reach(sandbox: Sandbox, listening: Listeners) -> dict[str, Any]:
    """Run the program; return what came of each attempt."""
    words = [json.dumps(listening.addresses()), os.uname().machine]
    outcome = sandbox.run(f"#!{python()} -IS\n{PROGRAM}", *words)
    assert outcome.exit_code == 0, (outcome, outcome.stderr)
    results: dict[str, Any] = json.loads(outcome.stdout)
    return results


def _was_reached(listener: socket.socket) -> bool:
    try:
        if listener.type == socket.SOCK_STREAM:
            listener.accept()[0].close()
        else:
            listener.recv(10)
    except BlockingIOError:
        return False
    return True

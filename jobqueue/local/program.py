"""A program that the launcher runs: started, its lines printed with a prefix, stopped."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from jobqueue.worker.host.hardening import LIBC, PR_SET_PDEATHSIG

STOP_SECONDS = {"worker": 35.0, "web": 10.0, "redis": 10.0}
"""Time limit of each program from SIGTERM to SIGKILL, in the order in which they are stopped. The worker keeps to it by
itself: it drains within DRAIN_SECONDS and needs at most 7 more.
"""


HURRY_SECONDS = 8.0
"""The same after a second signal, which stops jobs at once."""


@dataclass(frozen=True)
class Start:
    """How a program is started: a module of this Python, its arguments and environment, what it reads from standard
    input, and a descriptor that it inherits.
    """

    name: str
    module: str
    arguments: Sequence[str]
    variables: Mapping[str, str]
    stdin: bytes = b""
    inherited: Sequence[int] = ()


@dataclass
class Program:
    """A process, and the task that prints its lines until neither it nor a child of it can write any more."""

    name: str
    process: Process
    printing: asyncio.Task[None]

    @classmethod
    async def start(cls, start: Start) -> Program:
        """Start a program in a session of its own: Ctrl-C in the terminal does not reach it. Raises OSError."""
        child = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", start.module, *start.arguments],
            env=start.variables,
            stdin=PIPE if start.stdin else DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
            pass_fds=start.inherited,
            # A launcher that is killed cannot stop anything, so the kernel does.
            preexec_fn=functools.partial(end_with, os.getpid()),
        )
        if child.stdin:
            child.stdin.write(start.stdin)
            child.stdin.close()
        return cls(start.name, child, asyncio.create_task(print_lines(start.name, child)))

    async def stop(self, hurried: asyncio.Event) -> None:
        """Send SIGTERM, and SIGKILL at the deadline. Returns when the process and its children have ended.

        When `hurried` is set, a second SIGTERM is sent, and the time is shorter.
        """
        self._signal(signal.SIGTERM)
        hurrying = asyncio.create_task(hurried.wait())
        # Wait for the end of the output, not only of the process, since its children write to the same pipe.
        await asyncio.wait(
            [self.printing, hurrying], timeout=STOP_SECONDS[self.name], return_when=asyncio.FIRST_COMPLETED
        )
        hurrying.cancel()
        if hurried.is_set() and not self.printing.done():
            self._signal(signal.SIGTERM if self.name == "worker" else signal.SIGINT)
            await asyncio.wait([self.printing], timeout=HURRY_SECONDS)
        if not self.printing.done():
            say(f"{self.name} has not stopped in time: killing it")
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        await self.printing
        await self.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self.process.returncode is None:
            self.process.send_signal(number)


def end_with(parent: int) -> None:
    """In a new child: have the kernel send it SIGTERM when its parent dies, also after it has become another program.

    Linux only. Exits at once if the parent is dead already.
    """
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


async def print_lines(name: str, child: Process) -> None:
    """Print each line that the process writes, until the end of its output."""
    assert child.stdout is not None  # noqa: S101  # for the type checker: it is a pipe
    while True:
        try:
            line = await child.stdout.readline()
        except ValueError:  # Longer than asyncio's buffer, which has dropped it. The next line can be read again.
            line = b"(a line too long to be shown)\n"
        if not line:
            return
        say(line.decode(errors="replace").rstrip("\n"), name)


def say(text: str, name: str = "run") -> None:
    """Print a line with its prefix."""
    print(f"{name:<6} | {text}", flush=True)

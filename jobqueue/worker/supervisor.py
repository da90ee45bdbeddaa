"""The process between the worker and a job: one thread, which starts the program, hears it and outlives it.

It speaks lines of JSON over a socket. In: `{"launch": {…}}` and `{"stop": true}`; out: one `{"outcome": {…}}` for each
launch. When the socket closes, the worker is gone, and so is the job a moment later.
"""

from __future__ import annotations

import json
import selectors
import socket
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

from jobqueue.worker.process import Launch, Program, adopt_orphans, ignore_signals


@dataclass(frozen=True)
class Outcome:
    """How a launch ended: with an exit code (128 + n when killed by signal n), or with why it could not be started."""

    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    signal: int | None = None
    stopped: bool = False
    not_started: str | None = None


class WorkerGone(Exception):
    """The socket closed."""


class Supervisor:
    """Runs one program at a time for the worker at the other end of the socket."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._inbox: deque[dict[str, Any]] = deque()
        self._unfinished = b""

    def serve(self) -> None:
        """Serve launches until the worker is gone."""
        try:
            while True:
                while not self._inbox:
                    self._receive()
                message = self._inbox.popleft()
                if "launch" in message:  # a stop that finds nothing to stop came too late
                    outcome = self._run(Launch(**message["launch"]))
                    self._control.sendall(json.dumps({"outcome": asdict(outcome)}).encode() + b"\n")
        except (WorkerGone, BrokenPipeError, ConnectionResetError):
            return

    def _run(self, launch: Launch) -> Outcome:
        try:
            program = Program(launch)
        except (OSError, ValueError) as error:
            return Outcome(not_started=_why_not(error))
        stopped = False
        try:
            stopped = self._hear(program)
        finally:
            status = program.end()
        return Outcome(
            exit_code=status if status >= 0 else 128 - status,
            stdout=program.stdout.text(),
            stderr=program.stderr.text(),
            signal=-status if status < 0 else None,
            stopped=stopped,
        )

    def _hear(self, program: Program) -> bool:
        """Read both outputs until the program ends or is to be stopped; return whether it was the latter."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(program.pidfd, selectors.EVENT_READ)
            for stream in (program.stdout, program.stderr):
                selector.register(stream.pipe, selectors.EVENT_READ, stream)
            while not self._take_stop():  # it may have come together with the launch
                for key, _ in selector.select():
                    if key.fileobj is self._control:
                        self._receive()
                    elif key.data is None:
                        return False
                    elif not key.data.read():
                        selector.unregister(key.fileobj)
        return True

    def _take_stop(self) -> bool:
        """Return whether a stop is next in the inbox, and take it out."""
        return bool(self._inbox) and "stop" in self._inbox[0] and bool(self._inbox.popleft())

    def _receive(self) -> None:
        """Wait for messages and put those that have come whole into the inbox. Raises WorkerGone."""
        received = self._control.recv(65536)
        if not received:
            raise WorkerGone
        *lines, self._unfinished = (self._unfinished + received).split(b"\n")
        self._inbox.extend(json.loads(line) for line in lines)


def _why_not(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "could not be started: the interpreter or the loader that it names does not exist"
    if isinstance(error, OSError):
        return f"could not be started: {error.strerror}"
    return f"could not be started: {error}"


def main(control_fd: int) -> None:
    """Serve the socket with that number."""
    ignore_signals()
    adopt_orphans()
    Supervisor(socket.socket(fileno=control_fd)).serve()

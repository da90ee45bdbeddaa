"""The process between the worker and a job: one thread, which starts the program, hears it and outlives it.

It speaks lines of JSON over a socket. In: `{"launch": {…}}` and `{"stop": true}`; out: one `{"outcome": {…}}` for each
launch. When the socket closes, the worker is gone, and so is the job a moment later.
"""

from __future__ import annotations

import json
import selectors
import signal
import socket
import sys
from dataclasses import asdict, dataclass
from typing import Any

from jobqueue.worker.process import Launch, Program, adopt_orphans


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
        self._pending = b""

    def serve(self) -> None:
        """Serve launches until the worker is gone."""
        try:
            while True:
                for message in self._messages():
                    if "launch" in message:
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
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._control:
                        if any("stop" in message for message in self._messages()):
                            return True
                    elif key.data is None:
                        return False
                    elif not key.data.read():
                        selector.unregister(key.fileobj)

    def _messages(self) -> list[dict[str, Any]]:
        """Return the messages that have arrived whole. Raises WorkerGone."""
        received = self._control.recv(65536)
        if not received:
            raise WorkerGone
        *lines, self._pending = (self._pending + received).split(b"\n")
        return [json.loads(line) for line in lines]


def _why_not(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "could not be started: the interpreter or the loader that it names does not exist"
    if isinstance(error, OSError):
        return f"could not be started: {error.strerror}"
    return f"could not be started: {error}"


def main(control_fd: int) -> None:
    """Serve the socket with that number."""
    for ignored in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ignored, signal.SIG_IGN)  # the worker decides when to stop, not who signals the whole group
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    adopt_orphans()
    Supervisor(socket.socket(fileno=control_fd)).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]))

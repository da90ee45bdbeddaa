"""The process between the worker and a job: one thread, which starts the program, hears it and outlives it.

It speaks lines of JSON over a socket. In: `{"launch": {…}}` and `{"stop": {…}}`. Out, for each launch: `{"begun":
true}` just before the program is started, `{"live": {…}}` while there is new output, and `{"outcome": {…}}` at the
end, with both outputs in a file beside it. When the socket closes, the worker is gone, and so is the job a moment
later.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import time
from collections import deque
from dataclasses import asdict, replace
from typing import Any

from jobqueue.job import Measured
from jobqueue.worker.host import hardening
from jobqueue.worker.isolation.levels import Isolation, from_description
from jobqueue.worker.supervisor.messages import Launch, Outcome, signal_name
from jobqueue.worker.supervisor.output_file import write_down
from jobqueue.worker.supervisor.program import Program
from jobqueue.worker.supervisor.start_failure import start_failed
from jobqueue.worker.supervisor.termination import Ending

LIVE_SECONDS = 1.0

TO_EVERYBODY_SECONDS = 0.03
"""How long after a program that has failed a SIGTERM to everybody may reach this process: whoever sends them one by one
may be held up in between.
"""
HEARD = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class WorkerGone(Exception):
    """The socket closed."""


class Supervisor:
    """Runs one program at a time for the worker at the other end of the socket."""

    def __init__(self, control: socket.socket, isolation: Isolation) -> None:
        self._control = control
        self._isolation = isolation
        self._inbox: deque[dict[str, Any]] = deque()
        self._unfinished = b""
        self._told_to_end = False

    def serve(self) -> None:
        """Serve launches until the worker is gone."""
        for number in HEARD:  # ignored they would stay ignored in the program; a handler ends with this one
            signal.signal(number, self._hear_signal)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        try:
            while True:
                while not self._inbox:
                    self._receive()
                message = self._inbox.popleft()
                if "launch" in message:  # a stop that finds nothing to stop came too late
                    self._answer(self._run(Launch(**message["launch"])))
        except (WorkerGone, BrokenPipeError, ConnectionResetError):
            return

    def _run(self, launch: Launch) -> Outcome:
        self._told_to_end = False
        started_at_ms = _now_ms()
        self._control.sendall(b'{"begun": true}\n')  # before: a program may kill us as soon as it is there
        try:
            program = Program(launch, self._isolation)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            return start_failed(error, launch)
        ending = Ending(launch)
        try:
            self._hear(program, ending)
        finally:
            status, usage = program.end()
        ended_at_ms = _now_ms()
        outputs, lengths = write_down(program.stdout, program.stderr)
        if status > 0 and not (ending.stopped or ending.timed_out):
            self._wait_for_the_end_of_everybody()
        return Outcome(
            exit_code=status if status >= 0 else 128 - status,
            stopped=ending.stopped,
            timed_out=ending.timed_out,
            supervisor_terminated=self._told_to_end,
            oom_killed=status == -signal.SIGKILL and program.met_oom_killer(),
            measured=Measured(
                signal=signal_name(-status) if status < 0 else None,
                program_started_at_ms=started_at_ms,
                program_ended_at_ms=ended_at_ms,
                **lengths,
                **asdict(usage),
            ),
            outputs=outputs,
        )

    def _hear(self, program: Program, ending: Ending) -> None:
        """Read both outputs until the program ends or has to."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(program.pidfd, selectors.EVENT_READ)
            for stream in (program.stdout, program.stderr):
                selector.register(stream.pipe, selectors.EVENT_READ, stream)
            live_at = time.monotonic() + LIVE_SECONDS
            while not self._due(program, ending):
                if not self._hear_once(selector, ending.seconds_left(live_at)):
                    return
                if time.monotonic() >= live_at:
                    self._show(program)
                    live_at = time.monotonic() + LIVE_SECONDS

    def _hear_once(self, selector: selectors.BaseSelector, seconds: float) -> bool:
        """Take what comes within that time; return False when the program has ended."""
        going_on = True
        for key, _ in selector.select(seconds):
            if key.fileobj is self._control:
                self._receive()
            elif key.data is None:
                going_on = False
            elif not key.data.read():
                selector.unregister(key.fileobj)
        return going_on

    def _due(self, program: Program, ending: Ending) -> bool:
        """Hand on the stops that have come, one perhaps together with the launch; return whether to end it now."""
        while self._inbox and "stop" in self._inbox[0]:
            ending.stop(self._inbox.popleft()["stop"]["grace_seconds"])
        return ending.advance(program)

    def _show(self, program: Program) -> None:
        for name, stream in (("stdout", program.stdout), ("stderr", program.stderr)):
            while piece := stream.take_live():
                self._control.sendall(json.dumps({"live": {name: piece}}, ensure_ascii=False).encode() + b"\n")

    def _answer(self, outcome: Outcome) -> None:
        told = asdict(replace(outcome, outputs=None))
        line = json.dumps({"outcome": told, "outputs": outcome.outputs is not None}).encode() + b"\n"
        fds = [outcome.outputs.fd] if outcome.outputs else []
        sent = socket.send_fds(self._control, [line], fds)
        self._control.sendall(line[sent:])
        if outcome.outputs:
            outcome.outputs.close()

    def _receive(self) -> None:
        """Wait for messages and put those that have come whole into the inbox. Raises WorkerGone."""
        received = self._control.recv(65536)
        if not received:
            raise WorkerGone
        *lines, self._unfinished = (self._unfinished + received).split(b"\n")
        self._inbox.extend(json.loads(line) for line in lines)

    def _wait_for_the_end_of_everybody(self) -> None:
        if self._told_to_end:
            return
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        heard = signal.sigtimedwait([signal.SIGTERM], TO_EVERYBODY_SECONDS)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        self._told_to_end = self._told_to_end or heard is not None

    def _hear_signal(self, number: int, _frame: object) -> None:
        """Note it and go on: the worker decides when to stop."""
        self._told_to_end = self._told_to_end or number == signal.SIGTERM


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def main(control_fd: int, description: str, open_files: int) -> None:
    """Serve the socket with that number."""
    hardening.adopt_orphans()
    hardening.wake_with_parent()
    hardening.close_memory()
    hardening.renounce()
    hardening.limit(open_files)
    os.umask(0o077)
    Supervisor(socket.socket(fileno=control_fd), from_description(json.loads(description))).serve()

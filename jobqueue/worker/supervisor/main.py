"""The supervisor: the process between the worker and a job, which starts the program, reads it and ends it.

It has one thread, serves one launch after another, and outlives each program. When its channel closes, the worker is
gone: the supervisor ends the program with everything that it started, and exits.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import replace

from jobqueue.job import Measured
from jobqueue.worker.host import hardening
from jobqueue.worker.isolation.levels import Isolation, from_description
from jobqueue.worker.supervisor import capture
from jobqueue.worker.supervisor.channel import Channel
from jobqueue.worker.supervisor.messages import Begun, Launch, Live, Outcome, Stop
from jobqueue.worker.supervisor.platform_stop import PlatformStop
from jobqueue.worker.supervisor.program import Program
from jobqueue.worker.supervisor.start_failure import start_failed
from jobqueue.worker.supervisor.termination import Termination

LIVE_SECONDS = 1.0
"""The interval at which new output is sent to the worker."""


class Supervisor:
    """Runs one program at a time for the worker at the other end of the channel."""

    def __init__(self, channel: Channel, isolation: Isolation) -> None:
        self._channel = channel
        self._isolation = isolation
        self._platform_stop = PlatformStop()

    def serve(self) -> None:
        """Serve launches until the worker is gone."""
        self._platform_stop.watch()
        with suppress(ConnectionError):
            while True:
                self._serve_message()

    def _serve_message(self) -> None:
        while not self._channel.inbox:
            self._channel.receive()
        message = self._channel.inbox.popleft()
        # A stop that arrives while nothing runs came too late, and must not stop the next program. The outputs are
        # closed here as soon as the outcome is sent, since nothing refers to them any more.
        if isinstance(message, Launch):
            self._channel.send(self._run(message))

    def _run(self, launch: Launch) -> Outcome:
        self._platform_stop.reset()
        # Sent before the start, not after it: a program may kill this process as soon as it exists, and the worker has
        # to know then that the program may be to blame.
        self._channel.send(Begun())
        try:
            program = Program(launch, self._isolation)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            return start_failed(error, launch)
        termination = Termination(launch)
        try:
            self._watch(program, termination)
        finally:  # also when the worker is gone, and whatever else goes wrong: no program outlives its run
            status, measured = program.end()
        return self._outcome(program, termination, status, measured)

    def _outcome(self, program: Program, termination: Termination, status: int, measured: Measured) -> Outcome:
        outputs, lengths = capture.write(program.captures)
        if status > 0 and not (termination.stopped or termination.timed_out):
            # A program that handles SIGTERM exits with a code of its own choice, so any failure may be a platform stop.
            # After a success, a stop or a death by a signal the answer would make no difference.
            self._platform_stop.wait_for_late_signal()
        return Outcome(
            exit_code=status if status >= 0 else 128 - status,
            stopped=termination.stopped,
            timed_out=termination.timed_out,
            supervisor_terminated=self._platform_stop.signalled,
            oom_killed=program.was_oom_killed(status),
            measured=replace(measured, **lengths),
            outputs=outputs,
        )

    def _watch(self, program: Program, termination: Termination) -> None:
        """Read both outputs and the worker's messages until the program has ended or has to be killed."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ)
            selector.register(program.pidfd, selectors.EVENT_READ)
            for each in program.captures.values():
                selector.register(each.pipe, selectors.EVENT_READ, each)
            live_at = time.monotonic() + LIVE_SECONDS
            while not self._must_be_killed(program, termination):
                if not self._read_once(selector, termination.seconds_until(live_at)):
                    return
                if time.monotonic() >= live_at:
                    self._send_live(program)
                    live_at = time.monotonic() + LIVE_SECONDS

    def _read_once(self, selector: selectors.BaseSelector, seconds: float) -> bool:
        """Read whatever is ready within that time; return False when the program has ended."""
        # The end of the leader ends the run, not the end of its outputs: daemons that it left behind may hold those
        # open for ever. What is still in the pipes then is read after every process is dead (`Program.end`).
        running = True
        for key, _ in selector.select(seconds):
            if key.fileobj is self._channel:
                self._channel.receive()
            elif key.data is None:
                running = False
            elif not key.data.read():
                selector.unregister(key.fileobj)
        return running

    def _must_be_killed(self, program: Program, termination: Termination) -> bool:
        """Pass on the stops that have arrived; return whether the program has to be killed now."""
        # A stop may have arrived together with its launch, so the inbox is examined before the first wait. A launch in
        # it is one that the worker sent ahead; it stays there until this run is over.
        inbox = self._channel.inbox
        while inbox and isinstance(stop := inbox[0], Stop):
            inbox.popleft()
            termination.stop(stop.grace_seconds)
        return termination.advance(program)

    def _send_live(self, program: Program) -> None:
        for name, each in program.captures.items():
            while piece := each.take_live():
                self._channel.send(Live(name, *piece))


def main(control_fd: str, description: str, open_files: str) -> None:
    """Serve the socket with that number. `description` is the isolation of all programs, as JSON.

    The arguments are those of the command line: the worker starts this function in a new Python process.
    """
    hardening.adopt_orphans()
    hardening.wake_with_parent()
    hardening.close_memory()
    hardening.renounce()
    hardening.limit(int(open_files))
    os.umask(0o077)
    Supervisor(Channel(socket.socket(fileno=int(control_fd))), from_description(json.loads(description))).serve()

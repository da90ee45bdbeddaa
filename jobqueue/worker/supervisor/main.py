"""The supervisor: the process between the worker and a job, which starts the program, reads it and ends it.

It has one thread, serves one launch after another, and outlives each program. When its channel closes, the worker is
gone: the supervisor ends the program with everything that it started, and exits.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
from contextlib import suppress
from dataclasses import replace

from jobqueue import log_stream
from jobqueue.clock import since_boot
from jobqueue.job import Measured
from jobqueue.worker.host import hardening, inheritance
from jobqueue.worker.host.hardening import OomScore
from jobqueue.worker.host.shared_flag import SharedFlag
from jobqueue.worker.isolation.levels import Isolation, from_description
from jobqueue.worker.supervisor import capture
from jobqueue.worker.supervisor.capture import Capture
from jobqueue.worker.supervisor.channel import Channel
from jobqueue.worker.supervisor.ended_children import EndedChildren
from jobqueue.worker.supervisor.messages import Launch, LeaseEnd, Live, Outcome, Stop
from jobqueue.worker.supervisor.platform_stop import PlatformStop
from jobqueue.worker.supervisor.program import OomKills, Program, Starter
from jobqueue.worker.supervisor.start_failure import never_began, start_failed
from jobqueue.worker.supervisor.termination import Termination

LIVE_SECONDS = 1.0
"""The interval at which new output is sent to the worker."""


class Supervisor:
    """Runs one program at a time for the worker at the other end of the channel. Sets `begun` before it starts one."""

    def __init__(self, channel: Channel, begun: SharedFlag, isolation: Isolation, oom_score: OomScore) -> None:
        self._channel = channel
        self._begun = begun
        self._isolation = isolation
        self._platform_stop = PlatformStop()
        self._platform_stop.watch()
        self._ended_children = EndedChildren()
        self._starter = Starter(isolation, oom_score)
        self._oom_kills = OomKills()
        # One set of descriptors for all runs, to which each adds its outputs.
        self._poll = select.poll()
        self._poll.register(self._ended_children, select.POLLIN)

    def serve(self) -> None:
        """Serve launches until the worker is gone."""
        with suppress(ConnectionError):
            while True:
                self._serve_message()

    def _serve_message(self) -> None:
        while not self._channel.inbox:
            self._channel.receive()
        message = self._channel.inbox.popleft()
        # A stop or a renewal that arrives while nothing runs came too late, and must not concern the next program. The
        # outputs are closed here as soon as the outcome is sent, since nothing refers to them any more.
        if isinstance(message, Launch):
            self._channel.send(self._run(message))

    def _run(self, launch: Launch) -> Outcome:
        self._platform_stop.reset()
        # The worker may have been suspended after it built this launch, and the job may run elsewhere by now.
        if Termination(launch).lease_is_due:
            return Outcome(stopped=True, lease_over=True)
        # Before the start, not after it: a program may kill this process as soon as it exists, and the worker has to
        # know then that the program may be to blame. A message would wake the worker for what it hardly ever needs.
        self._begun.set()
        try:
            program = Program(launch, self._starter, self._oom_kills)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            return start_failed(error, launch)
        termination = Termination(launch)
        try:
            self._watch(program, termination)
        finally:  # also when the worker is gone, and whatever else goes wrong: no program outlives its run
            status, measured = program.end()
        outcome = self._outcome(program, termination, status, measured)
        return never_began(outcome, launch, self._isolation.level) or outcome

    def _outcome(self, program: Program, termination: Termination, status: int, measured: Measured) -> Outcome:
        outputs, lengths = capture.write(program.captures)
        if status > 0 and not (termination.stopped or termination.timed_out):
            # A program that handles SIGTERM exits with a code of its own choice, so any failure may be a platform stop.
            # After a success, a stop or a death by a signal the answer would make no difference.
            self._platform_stop.wait_for_late_signal()
        return Outcome(
            exit_code=status if status >= 0 else 128 - status,
            stopped=termination.stopped,
            lease_over=termination.lease_over,
            timed_out=termination.timed_out,
            supervisor_terminated=self._platform_stop.signalled,
            oom_killed=program.was_oom_killed(status),
            measured=replace(measured, **lengths),
            outputs=outputs,
        )

    def _watch(self, program: Program, termination: Termination) -> None:
        """Read both outputs and the worker's messages until the program has ended or has to be killed."""
        outputs = {each.pipe.fileno(): each for each in program.captures.values()}
        self._poll.register(self._channel, select.POLLIN)
        for descriptor in outputs:
            self._poll.register(descriptor, select.POLLIN)
        try:
            self._read_all(program, termination, outputs)
        finally:
            for descriptor in outputs:
                self._poll.unregister(descriptor)

    def _read_all(self, program: Program, termination: Termination, outputs: dict[int, Capture]) -> None:
        live_at = since_boot() + LIVE_SECONDS
        while True:
            # A renewal may have come just before the deadline and wait in the socket while this process, or the
            # machine, was suspended. It counts: the lease is held, and stopping the program would be for nothing. So
            # the time is taken before the last look into the socket, wherever the suspension comes. A renewal that
            # comes after this look is too late. The worker learns from the outcome that the program was stopped; the
            # lease that it has renewed then ends, or ends with its report, as any other. Neither order lets two
            # attempts run at once, since a renewal is counted from when its request was sent.
            looked_at = since_boot()
            if termination.lease_is_due and not self._read_once(program, outputs, 0):
                return
            if self._must_be_killed(program, termination, looked_at):
                return
            # Waits are counted by a clock that stands still while the machine is suspended. The end of a lease that
            # comes meanwhile is noticed when live output is due, at most a second after the machine is back.
            if not self._read_once(program, outputs, termination.seconds_until(live_at)):
                return
            if since_boot() >= live_at:
                program.reap_orphans()
                self._send_live(program)
                live_at = since_boot() + LIVE_SECONDS
            self._await_room()

    def _read_once(self, program: Program, outputs: dict[int, Capture], seconds: float) -> bool:
        """Read whatever is ready within that time; return False when the program has ended."""
        # The end of the leader ends the run, not the end of its outputs: daemons that it left behind may hold those
        # open for ever. What is still in the pipes then is read after every process is dead (`Program.end`).
        running = True
        for descriptor, events in self._poll.poll(seconds * 1000):
            if descriptor in outputs:
                if not outputs[descriptor].read():
                    self._poll.unregister(descriptor)
                    del outputs[descriptor]
            elif descriptor != self._channel.fileno():
                self._ended_children.clear()
                running = not program.has_ended()
            elif events & ~select.POLLOUT:
                self._channel.receive()
            else:
                self._send_live(program)
        return running

    def _must_be_killed(self, program: Program, termination: Termination, looked_at: float) -> bool:
        """Pass on what the worker has sent; return whether the program has to be killed now."""
        # A stop may have arrived together with its launch, so the inbox is examined before the first wait. A launch in
        # it is one that the worker sent ahead; it stays there until this run is over.
        inbox = self._channel.inbox
        while inbox and isinstance(message := inbox[0], Stop | LeaseEnd):
            inbox.popleft()
            if isinstance(message, Stop):
                termination.stop(message.grace_seconds)
            else:
                termination.renew(message)
        return termination.advance(program, looked_at)

    def _send_live(self, program: Program) -> None:
        """Send new output as far as the socket has room."""
        # Never by a blocking call: a worker that is suspended reads nothing, and this process has to watch the end of
        # the lease then. What is not sent stays in the capture, which skips what becomes too old.
        for name, each in program.captures.items():
            while self._channel.flush() and (piece := each.take_live()):
                self._channel.post(Live(name, *piece))

    def _await_room(self) -> None:
        """Wait for room in the channel, too, for as long as a message is not sent completely."""
        self._poll.modify(self._channel, select.POLLIN | (select.POLLOUT if self._channel.has_unsent else 0))


def main(control_fd: str, begun_fd: str, description: str, open_files: str) -> None:
    """Serve the socket with that number. `description` is the isolation of all programs, as JSON.

    The arguments are those of the command line: the worker starts this function in a new Python process.
    """
    log_stream.replace_stderr()
    hardening.adopt_orphans()
    hardening.wake_with_parent()
    oom_score = hardening.OomScore()
    hardening.close_memory()
    hardening.renounce()
    hardening.limit(int(open_files))
    os.umask(0o077)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)  # the standard input of every program
    control = socket.socket(fileno=int(control_fd))
    control.set_inheritable(False)
    isolation = from_description(json.loads(description))
    isolation.confine_supervisor()  # after `renounce`, which gives this process the right to confine itself
    supervisor = Supervisor(Channel(control), SharedFlag(int(begun_fd)), isolation, oom_score)
    # The worker's mask is inherited. It is lifted only now that the supervisor has its handlers: a SIGTERM to every
    # process that came during the start has waited, and would have ended it before.
    inheritance.restore_signals()
    supervisor.serve()

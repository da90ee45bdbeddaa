"""One launch in a slot: the messages between the worker and the supervisor, from its start to its outcome."""

from __future__ import annotations

import math
import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event
from typing import Any

from jobqueue import logs
from jobqueue.worker.slots.supervisor_process import SupervisorProcess
from jobqueue.worker.supervisor.messages import Launch, LeaseEnd, Live, Message, Outcome, Stop, encode

OnLive = Callable[[dict[str, Any]], None]
"""Receives new output: by name of the stream, the offset (in bytes of UTF-8) and the text."""

OVERDUE_SECONDS = 10.0
"""Extra time a supervisor gets beyond its program's own limit. After that we assume that it hangs, and kill it: a
program of the same user can suspend it.
"""

SENDING_SECONDS = 5.0
"""How long the supervisor may leave a message unread before it is killed."""

POLL_MS = 1000
"""Poll interval: how often we look whether a silent supervisor is overdue or suspended."""

MOST_RESUMES = 10
"""How often a suspended supervisor is resumed in one run before it is killed."""


class Run:
    """The conversation with a supervisor about one launch.

    One thread calls `converse`, the only function that sends and receives. The channel stays open until it has
    returned; others may hang up meanwhile, and may `request_stop` and `renew`, one at a time.
    """

    def __init__(self, supervisor: SupervisorProcess, launch: Launch, stopped: Event) -> None:
        """Prepare the run of a launch by this supervisor. Raises OSError."""
        self.stopped = stopped
        """Identifies this run to those who want to stop it. A run that has begun does not examine it."""
        self._supervisor = supervisor
        self._launch = launch
        # An event descriptor, because the thread in `converse` waits in a poll: readable while there is a stop or a
        # renewal to send.
        self._request_fd = os.eventfd(0, os.EFD_CLOEXEC)
        self._grace_seconds = self._overdue_at = math.inf
        self._lease_end: LeaseEnd | None = None
        self._resumes = 0
        if launch.timeout_seconds is not None:
            self._expect_end_within(launch.timeout_seconds + launch.kill_grace_seconds)

    def converse(self, on_live: OnLive) -> Outcome:
        """Have the program run, and return its outcome. Raises ChannelClosed when the supervisor is gone."""
        self._supervisor.begun.clear()
        self._send(self._launch)
        logs.flush()  # while the supervisor starts the program
        while True:
            message = self._next_message()
            if isinstance(message, Outcome):
                return message
            if isinstance(message, Live):
                on_live({message.stream: (message.offset, message.text)})

    @property
    def begun(self) -> bool:
        """Whether the supervisor has started the program, or was about to."""
        return bool(self._supervisor.begun)

    def request_stop(self, grace_seconds: float) -> None:
        """Have the program end: SIGTERM first when there is a grace, SIGKILL after it. Does not wait."""
        # The caller may have other slots to stop, and sending may take seconds when the supervisor does not read. So
        # the thread in `converse`, which is the only one that uses the channel, sends the message. The grace is set
        # before the descriptor becomes readable: when that thread wakes up, it finds the grace.
        self._expect_end_within(grace_seconds)
        self._grace_seconds = min(grace_seconds, self._grace_seconds)
        os.eventfd_write(self._request_fd, 1)

    def renew(self, lease_end: LeaseEnd) -> None:
        """Have the supervisor know when the renewed lease ends. Does not wait."""
        self._lease_end = lease_end
        os.eventfd_write(self._request_fd, 1)

    def close(self) -> None:
        """Free the descriptor. Nobody may request anything afterwards."""
        os.close(self._request_fd)

    def _expect_end_within(self, seconds: float) -> None:
        self._overdue_at = min(time.monotonic() + seconds + OVERDUE_SECONDS, self._overdue_at)

    def _next_message(self) -> Message:
        """Return the supervisor's next message. Raises ChannelClosed when it is gone."""
        channel = self._supervisor.channel.fileno()
        poll = select.poll()
        poll.register(channel, select.POLLIN)
        poll.register(self._request_fd, select.POLLIN)
        silent_since = time.monotonic()
        while not self._supervisor.channel.inbox:
            ready = [fd for fd, _ in poll.poll(POLL_MS)]
            # An overdue supervisor is killed, not asked: it had its program's whole time and more. Its death closes the
            # channel, which the next poll reports. While there is something to read it is not overdue: this process may
            # have been suspended, and the outcome may have waited for it all the time.
            if time.monotonic() > self._overdue_at and channel not in ready:
                self._supervisor.process.kill()
            # A supervisor that somebody has suspended is silent, and so is one whose program writes nothing. A look
            # after each interval of silence tells them apart, and costs runs with much output nothing. Renewals of the
            # lease end a wait, too, and may come more often, so a wait to its end is not the measure.
            if channel not in ready and (not ready or time.monotonic() >= silent_since + POLL_MS / 1000):
                self._resume_if_suspended()
                silent_since = time.monotonic()
            if self._request_fd in ready:
                self._send_requests()
            if channel in ready:
                self._supervisor.channel.receive()
        return self._supervisor.channel.inbox.popleft()

    def _send_requests(self) -> None:
        # The event is cleared before the requests are read: one that is made in between sets it again, and is sent as
        # well. Sending one twice is harmless, because the supervisor keeps the earliest deadline of all stops, and the
        # end of a lease replaces the same one. The renewal goes first: a stop that the end of the lease has caused must
        # not be followed by a later end.
        os.eventfd_read(self._request_fd)
        if self._lease_end is not None:
            self._send(self._lease_end)
        if self._grace_seconds < math.inf:
            self._send(Stop(self._grace_seconds))

    def _send(self, message: Message) -> None:
        """Send a message, unless the supervisor is gone. A supervisor that does not read it in time is killed."""
        # Never by a blocking call: that would wait for ever for a supervisor that a job has suspended, and the slot
        # would be lost to the worker.
        line = memoryview(encode(message)[0])  # the worker sends no descriptors
        # A failure is not reported. `_next_message` finds the channel closed, unless the supervisor sent the outcome
        # before it was gone; then the outcome counts.
        with suppress(OSError):
            if rest := self._supervisor.channel.try_to_send(line):
                self._send_rest(rest)

    def _send_rest(self, line: memoryview) -> None:
        """Send what the channel had no room for, as it is read. Raises OSError."""
        give_up_at = time.monotonic() + SENDING_SECONDS
        poll = select.poll()
        poll.register(self._supervisor.channel, select.POLLOUT)
        while line:
            if time.monotonic() > give_up_at:
                self._supervisor.process.kill()
                return
            if not poll.poll(POLL_MS):
                self._resume_if_suspended()
            line = self._supervisor.channel.try_to_send(line)

    def _resume_if_suspended(self) -> None:
        """Resume a supervisor that a job has suspended; kill one that is suspended again and again."""
        if self._supervisor.is_suspended():
            self._resumes += 1
            self._supervisor.process.send_signal(signal.SIGCONT if self._resumes <= MOST_RESUMES else signal.SIGKILL)

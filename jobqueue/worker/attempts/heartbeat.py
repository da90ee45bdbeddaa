"""Keeps a job's lease alive from a thread of its own; tells the latest output and hears what is wanted on the way."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass

from jobqueue import logs
from jobqueue.client.claims import Claims, Held
from jobqueue.worker.attempts.attempt import Attempt, Cause

BEATS_PER_LEASE = 3
LONGEST_SECONDS = 5.0
"""Between two beats: so long does a wish to cancel wait to be heard at most."""

LIVE_SECONDS = 2.0
"""Between two beats while there is new output."""

SAFE_PART = 0.8
"""Of a lease, counted from when the last good beat was sent. After that another executor may have the job soon, and
two must never run it at once: the lease counts as lost although nobody has said so."""


@dataclass(frozen=True)
class StopPolicy:
    """What a worker does with a program whose lease nobody renews, and how long one that is cancelled gets to end."""

    finish: bool = False
    kill_grace_seconds: float = 10.0


class Heartbeat:
    """Beats from `start` to `stop`. Stops the attempt once the job is no longer ours, or somebody wants it to end.

    It has a connection of its own: no download, no report and no other job ever stands in its way.
    """

    def __init__(self, claims: Claims, attempt: Attempt, stop_policy: StopPolicy) -> None:
        self._claims = claims
        self._attempt = attempt
        self._stop_policy = stop_policy
        self._ended = self._unanswered = self._outlived = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._lease_seconds = attempt.job.lease_ms / 1000
        self._interval = min(self._lease_seconds / BEATS_PER_LEASE, LONGEST_SECONDS)
        self._safe_until = attempt.job.asked_at + self._lease_seconds * SAFE_PART
        attempt.live.on_arrival = self._wake.set

    @property
    def beating(self) -> bool:
        """Whether the lease is kept alive."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Beat no more; a beat that is under way goes on by itself."""
        self._ended = True
        self._wake.set()

    def _run(self) -> None:
        try:
            self._beat_while_held()
        finally:
            self._claims.close()

    def _beat_while_held(self) -> None:
        pause = self._interval
        while self._wait(pause * random.uniform(0.9, 1.0)):
            sent = time.monotonic()
            if sent >= self._safe_until and not self._stop_policy.finish:
                self._lose("nobody answered for most of a lease")
                return
            try:
                held = self._beat(sent)
            except Exception as error:  # noqa: BLE001  # whatever it is, the thread must live to say that the lease is lost
                self._note_silence(sent, error)
                pause = self._interval / 4
                continue
            if held is None:
                self._lose("it is held by nobody, or by another attempt")
                return
            self._note_answer()
            pause = self._interval
            self._safe_until = sent + self._lease_seconds * SAFE_PART
            if held.cancel_requested and self._attempt.cause is None:
                logs.logger().info("cancel_requested", job_id=self._attempt.job.id)
                self._attempt.stop(Cause.CANCELLED, self._stop_policy.kill_grace_seconds)

    def _wait(self, pause: float) -> bool:
        """Wait until the next beat is due, sooner when there is output to tell; return whether there is to be one."""
        begun = time.monotonic()
        while not self._ended:
            self._wake.clear()
            due = begun + (min(pause, LIVE_SECONDS) if self._attempt.live.pending else pause)
            if not self._stop_policy.finish:
                due = min(due, self._safe_until)
            left = due - time.monotonic()
            if left <= 0:
                return True
            self._wake.wait(left)
        return False

    def _beat(self, now: float) -> Held | None:
        """Send one, with the latest output; return None when the lease is lost."""
        within = self._interval if self._stop_policy.finish else min(self._interval, self._safe_until - now)
        output = self._attempt.live.peek()
        held = self._claims.heartbeat(self._attempt.job, within, output)
        self._attempt.live.forget(output)
        return held

    def _note_silence(self, sent: float, error: Exception) -> None:
        """Log that nobody answers, and later that the program goes on without a lease: each once."""
        if not self._unanswered:
            logs.logger().warning("heartbeat_unanswered", job_id=self._attempt.job.id, reason=str(error))
        if sent >= self._safe_until and not self._outlived:
            logs.logger().warning("lease_outlived", job_id=self._attempt.job.id)
            self._outlived = True
        self._unanswered = True

    def _note_answer(self) -> None:
        if self._unanswered:
            logs.logger().info("heartbeat_answered", job_id=self._attempt.job.id)
        self._unanswered = self._outlived = False

    def _lose(self, reason: str) -> None:
        logs.logger().warning("lease_lost", job_id=self._attempt.job.id, reason=reason)
        self._attempt.stop(Cause.LEASE_LOST)

"""The thread that renews the leases of all attempts, sends their latest output along and reads cancel requests."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field

from jobqueue import logs
from jobqueue.client.batches import Batches, Beat
from jobqueue.client.claims import Held
from jobqueue.client.transport import ApiRefused, ApiUnavailable
from jobqueue.clock import since_boot
from jobqueue.worker.attempts.attempt import Attempt, Cause, StopPolicy
from jobqueue.worker.attempts.lease import Lease


@dataclass(eq=False)
class _Renewal:
    """The lease of one attempt. `since` is when the last request about it ended, `answered` whether it was answered."""

    attempt: Attempt
    lease: Lease
    since: float
    answered: bool = True
    outlived: bool = False
    jitter: float = field(default_factory=lambda: random.uniform(0.9, 1.0))

    @property
    def due_at(self) -> float:
        return self.lease.next_heartbeat(self.since, self.jitter, self.answered, self.attempt.live_output.pending)


class Heartbeats:
    """Renews the lease of an attempt from `add` to `remove`, whether it runs, waits for a slot or for its report to be
    answered. Stops it when the lease is lost or the job is cancelled.

    One request renews all leases. The thread has a connection of its own, so that a slow download or a large report
    cannot delay a renewal. A request that passes nothing is sent again on another connection (`client.exchange`), and
    takes no longer than the lease that is the first to end.
    """

    def __init__(self, connection: Batches, stop_policy: StopPolicy) -> None:
        self._connection = connection
        self._stop_policy = stop_policy
        self._renewals: dict[Attempt, _Renewal] = {}
        self._changed = threading.Condition()
        self._wakes_at = 0.0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    @property
    def count(self) -> int:
        """How many leases are renewed."""
        return len(self._renewals)

    @property
    def running(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread. Raises RuntimeError when this machine has no thread left."""
        self._thread.start()

    def close(self) -> None:
        """Send no further heartbeat. Does not wait for a request that is under way."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def add(self, attempt: Attempt) -> None:
        """Renew the lease of an attempt from now on."""
        job, policy = attempt.job, self._stop_policy
        lease = Lease(job.lease_ms / 1000, job.asked_at, policy.may_outlive_lease)
        attempt.lease_end = lease.end(policy.kill_grace_seconds)
        renewal = _Renewal(attempt, lease, since_boot())
        attempt.live_output.on_arrival = lambda: self._wake_for(renewal)
        with self._changed:
            self._renewals[attempt] = renewal
        self._wake_for(renewal)

    def remove(self, attempt: Attempt) -> None:
        """Send no further heartbeat for an attempt. Does not wait for a request that is under way."""
        with self._changed:
            self._renewals.pop(attempt, None)

    def _wake_for(self, renewal: _Renewal) -> None:
        # Most attempts end before they need a heartbeat, and come later than what the thread waits for already. Waking
        # it for each of them would cost more than all the rest of this module.
        if renewal.due_at < self._wakes_at:
            with self._changed:
                self._changed.notify_all()

    def _run(self) -> None:
        with closing(self._connection):
            while renewals := self._wait():
                self._renew(renewals, since_boot())

    def _wait(self) -> Sequence[_Renewal]:
        """Wait until a heartbeat is due and return all attempts; none when no other is wanted.

        An attempt may come, and new output make its heartbeat due sooner, at any moment. Both happen before
        `_wakes_at` is read, and the moment is worked out after `_wakes_at` is raised: so either it is seen here, or the
        other thread sees that this one would sleep too long.
        """
        with self._changed:
            while not self._closed:
                self._wakes_at = float("inf")
                now = since_boot()
                due_at = min((renewal.due_at for renewal in self._renewals.values()), default=float("inf"))
                if due_at <= now:
                    self._wakes_at = 0.0
                    return list(self._renewals.values())
                self._wakes_at = due_at
                self._changed.wait(None if due_at == float("inf") else due_at - now)
        return []

    def _renew(self, renewals: Sequence[_Renewal], now: float) -> None:
        """Send one heartbeat for all attempts, and stop those whose lease is lost.

        A lease is lost when the API says so, and also when no heartbeat has been answered in time. In the second case
        the API may work for everybody but us and give the job to another executor, and two must never run it at once.
        No other answer counts: a 503, a proxy's error page or a refused connection says nothing about the jobs.
        """
        held = [renewal for renewal in renewals if not self._is_over(renewal, now)]
        if not held:
            return
        beats = [Beat(renewal.attempt.job, renewal.attempt.live_output.peek()) for renewal in held]
        try:
            answers = self._connection.heartbeat(beats, min(renewal.lease.request_seconds(now) for renewal in held))
            error: Exception = ApiUnavailable("the heartbeat was answered for other jobs only")
        except Exception as unanswered:  # noqa: BLE001  # the thread must live to stop the attempts in time
            if held[0].answered and not isinstance(unanswered, ApiUnavailable | ApiRefused):
                logs.logger().exception("crash", reason=repr(unanswered))
            answers, error = {}, unanswered
        ended_at = since_boot()
        for renewal, beat in zip(held, beats, strict=True):
            renewal.since, renewal.jitter = ended_at, random.uniform(0.9, 1.0)
            if beat.job.attempt_token in answers:
                self._note_answer(renewal, beat, answers[beat.job.attempt_token], now)
            else:
                _note_no_answer(renewal, now, error)

    def _is_over(self, renewal: _Renewal, now: float) -> bool:
        """Return whether an attempt has lost its lease because nothing was answered; stop it then."""
        end = renewal.attempt.lease_end
        if end is None or not renewal.lease.is_over(now):
            return False
        self.remove(renewal.attempt)
        renewal.attempt.lose_lease("no heartbeat was answered for most of a lease", max(end.kill_at - now, 0))
        return True

    def _note_answer(self, renewal: _Renewal, beat: Beat, held: Held | None, sent_at: float) -> None:
        attempt = renewal.attempt
        if held is None:
            self.remove(attempt)
            if attempt.is_reported:
                return  # the program has ended; the answer to its report is on its way, and says what counts
            attempt.lose_lease("the job is not running, or held by another attempt")
            return
        attempt.live_output.forget(beat.output)
        if not renewal.answered:
            logs.logger().info("heartbeat_answered", job_id=attempt.job.id)
        renewal.lease = renewal.lease.renewed(sent_at)
        attempt.renew(renewal.lease.end(self._stop_policy.kill_grace_seconds))
        renewal.answered, renewal.outlived = True, False
        if held.cancel_requested and attempt.cause is None:
            # The lease is renewed all the same: the program has a grace to end in, and its report must still count.
            logs.logger().info("cancel_requested", job_id=attempt.job.id)
            attempt.stop(Cause.CANCELLED, self._stop_policy.kill_grace_seconds)


def _note_no_answer(renewal: _Renewal, now: float, error: Exception) -> None:
    """Log an outage when it begins, and once when a program that may outlive its lease has done so."""
    if renewal.answered:
        logs.logger().warning("heartbeat_unanswered", job_id=renewal.attempt.job.id, reason=str(error))
    if renewal.lease.is_over(now) and not renewal.outlived:
        logs.logger().warning("lease_outlived", job_id=renewal.attempt.job.id)
        renewal.outlived = True
    renewal.answered = False

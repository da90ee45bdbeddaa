"""The thread that renews the lease of one attempt, sends the latest output along and reads cancel requests."""

from __future__ import annotations

import random
import threading
from contextlib import closing

from jobqueue import logs
from jobqueue.client.claims import Claims
from jobqueue.client.transport import ApiRefused, ApiUnavailable
from jobqueue.clock import since_boot
from jobqueue.worker.attempts.attempt import Attempt, Cause, StopPolicy
from jobqueue.worker.attempts.lease import Lease


class Heartbeat:
    """Renews the lease from `start` to `stop`. Stops the attempt when the lease is lost or the job is cancelled.

    It has a connection of its own, so that a slow download, a large report or another job cannot delay a renewal. Only
    `_run` and `_wait` deal with the thread. `_renew` sends one heartbeat and acts on the answer.
    """

    def __init__(self, claims: Claims, attempt: Attempt, stop_policy: StopPolicy) -> None:
        self._claims = claims
        self._attempt = attempt
        self._kill_grace_seconds = stop_policy.kill_grace_seconds
        self._lease = Lease(attempt.job.lease_ms / 1000, attempt.job.asked_at, stop_policy.may_outlive_lease)
        attempt.lease_end = self._lease.end(self._kill_grace_seconds)
        self._answered = True
        self._outlived = self._stopped = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        attempt.live_output.on_arrival = self._wake.set

    @property
    def running(self) -> bool:
        """Whether the lease is being renewed."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start to renew the lease. Raises RuntimeError when this machine has no thread left."""
        self._thread.start()

    def stop(self) -> None:
        """Send no further heartbeat. Does not wait for a request that is under way."""
        self._stopped = True
        self._wake.set()

    def _run(self) -> None:
        with closing(self._claims):
            while self._wait() and self._renew(since_boot()):
                continue

    def _wait(self) -> bool:
        """Wait until a heartbeat is due; return False when no other is wanted.

        New output may arrive during the wait and make the heartbeat due sooner, so the moment is worked out again after
        every wake-up, from the same start and with the same jitter. The event is cleared before `_stopped` and
        `pending` are read, never after. Both are changed before the event is set, so no change goes unnoticed.
        """
        since, jitter = since_boot(), random.uniform(0.9, 1.0)
        while not self._stopped:
            due = self._lease.next_heartbeat(since, jitter, self._answered, self._attempt.live_output.pending)
            left = due - since_boot()
            if left <= 0:
                return True
            self._wake.wait(left)
            self._wake.clear()
        return False

    def _renew(self, now: float) -> bool:
        """Send one heartbeat, or stop the attempt when the lease is lost; return whether there is a lease to renew.

        A lease is lost when the API says so, and also when no heartbeat has been answered in time. In the second case
        the API may work for everybody but us and give the job to another executor, and two must never run it at once.
        No other answer counts: a 503, a proxy's error page or a refused connection says nothing about the job.
        """
        end = self._attempt.lease_end
        if end and self._lease.is_over(now):
            self._attempt.lose_lease("no heartbeat was answered for most of a lease", max(end.kill_at - now, 0))
            return False
        output = self._attempt.live_output.peek()
        try:
            held = self._claims.heartbeat(self._attempt.job, self._lease.request_seconds(now), output)
        except Exception as error:  # noqa: BLE001  # whatever it is, the thread must live to stop the attempt in time
            if self._answered and not isinstance(error, ApiUnavailable | ApiRefused):
                logs.logger().exception("crash", job_id=self._attempt.job.id, reason=repr(error))
            self._note_no_answer(now, error)
            return True
        if held is None:
            self._attempt.lose_lease("the job is not running, or held by another attempt")
            return False
        self._attempt.live_output.forget(output)
        self._note_answer(now)
        if held.cancel_requested and self._attempt.cause is None:
            # The lease is renewed all the same: the program has a grace to end in, and its report must still count.
            logs.logger().info("cancel_requested", job_id=self._attempt.job.id)
            self._attempt.stop(Cause.CANCELLED, self._kill_grace_seconds)
        return True

    def _note_no_answer(self, now: float, error: Exception) -> None:
        """Log an outage when it begins, and once when a program that may outlive its lease has done so."""
        if self._answered:
            logs.logger().warning("heartbeat_unanswered", job_id=self._attempt.job.id, reason=str(error))
        if self._lease.is_over(now) and not self._outlived:
            logs.logger().warning("lease_outlived", job_id=self._attempt.job.id)
            self._outlived = True
        self._answered = False

    def _note_answer(self, sent_at: float) -> None:
        if not self._answered:
            logs.logger().info("heartbeat_answered", job_id=self._attempt.job.id)
        self._lease = self._lease.renewed(sent_at)
        self._attempt.renew(self._lease.end(self._kill_grace_seconds))
        self._answered, self._outlived = True, False

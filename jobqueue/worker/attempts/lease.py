"""The lease of one attempt: how long this worker may treat a job as its own, and when to renew that.

Only arithmetic. There is no thread and no clock in here: every moment is passed in, in seconds of `clock.since_boot`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from jobqueue.worker.supervisor.messages import LeaseEnd

HEARTBEATS_PER_LEASE = 3
MAX_INTERVAL_SECONDS = 5.0
"""Longest time between two heartbeats, however long the lease: a cancel request waits for at most this long."""

LIVE_OUTPUT_SECONDS = 2.0
"""Time between two heartbeats while there is new output to send, where that is sooner."""

SAFE_FRACTION = 0.8
"""The part of a lease, counted from when the request that began or renewed it was sent, in which it is safe to go on.
Then the program receives SIGTERM.
"""

KILL_FRACTION = 0.9
"""The part of a lease, counted in the same way, after which a program that has not ended is killed. The last tenth is
the time that this takes, before the API may give the job to another executor.
"""

RETRY_FRACTION = 1 / 4
"""The part of the usual interval after which a heartbeat that was not answered is sent again."""


@dataclass(frozen=True)
class Lease:
    """A lease of `seconds`, begun or last renewed by the request that was sent at `sent_at`.

    With `may_outlive_lease` the program may go on when the lease is over, so the end of the lease does not bring the
    next heartbeat forward.
    """

    seconds: float
    sent_at: float
    may_outlive_lease: bool = False

    @property
    def interval_seconds(self) -> float:
        """Return the usual time from one answered heartbeat to the next."""
        return min(self.seconds / HEARTBEATS_PER_LEASE, MAX_INTERVAL_SECONDS)

    @property
    def safe_until(self) -> float:
        """Return the moment at which a program that may not outlive the lease must be stopped.

        The API counts the lease from when it read our request, and we cannot know when that was. It cannot have been
        before the request was sent, so a lease that is counted from then never lasts longer here than there. Counted
        from the answer it could: a slow answer would make both workers run the job at once.
        """
        return self.sent_at + self.seconds * SAFE_FRACTION

    def end(self, kill_grace_seconds: float) -> LeaseEnd | None:
        """Return when the supervisor ends the program if no renewal comes; None if it may outlive the lease.

        This worker's own time limit is the same, so it makes no difference which of the two notices the end first.
        """
        if self.may_outlive_lease:
            return None
        longest_grace_seconds = self.seconds * (KILL_FRACTION - SAFE_FRACTION)
        return LeaseEnd(self.safe_until, self.safe_until + min(kill_grace_seconds, longest_grace_seconds))

    def is_over(self, now: float) -> bool:
        """Return whether the program must stop, unless it `may_outlive_lease`: the API may soon give the job away."""
        return now >= self.safe_until

    def next_heartbeat(self, since: float, jitter: float, answered: bool, output_waits: bool) -> float:
        """Return the moment at which the next heartbeat is due, or at which the attempt must be stopped if sooner.

        `since` is when the last request ended, `answered` whether it was answered. `jitter`, a factor a little below 1,
        spreads the heartbeats of workers that were started together.
        """
        pause = self.interval_seconds * jitter * (1 if answered else RETRY_FRACTION)
        if output_waits:
            pause = min(pause, LIVE_OUTPUT_SECONDS)
        return since + pause if self.may_outlive_lease else min(since + pause, self.safe_until)

    def request_seconds(self, now: float) -> float:
        """Return how long a heartbeat that is sent now may take.

        An answer that comes after the lease is over would be of no use, and waiting for it would delay the stop.
        """
        return self.interval_seconds if self.may_outlive_lease else min(self.interval_seconds, self.safe_until - now)

    def renewed(self, sent_at: float) -> Lease:
        """Return the lease as renewed by a heartbeat that was sent at that moment and has been answered."""
        return replace(self, sent_at=sent_at)

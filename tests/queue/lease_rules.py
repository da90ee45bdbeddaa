"""The rules of the model of leases."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """What the queue checks and remembers. Each rule can be left out, to see which property needs it."""

    token: bool = True
    """A report must have the token of the attempt."""

    executor: bool = True
    """A report must come from the executor that claimed the job."""

    status: bool = True
    """A report is only stored for a running job."""

    replays: bool = True
    """A report that was stored is answered again."""

    deadlines: bool = True
    """Ended leases are found by their deadlines, not only by notices, which may be lost."""

    claim_ids: bool = True
    """A repeated claim is answered with the job of the first time."""

    held_claims: bool = True
    """That is only so if the job is still held by that claim."""

    take_back: bool = True
    """A heartbeat takes back the jobs that its executor never received."""

    received: bool = True
    """Jobs that were named in any heartbeat were received."""

    forgiving: bool = True
    """What is taken back does not count as lost."""

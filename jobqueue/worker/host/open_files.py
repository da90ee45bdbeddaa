"""How many files a worker may have open, and how many it needs."""

from __future__ import annotations

import resource
import sys

from jobqueue.settings import InvalidSetting

OF_THE_WORKER = 24
OF_A_SLOT = 8
"""What the worker itself may have open at a time, and what comes on top for each slot: the supervisor's socket and what
wakes its thread, connections for the API, heartbeats and a download, the program, its copy, the outputs. Four slots
were seen to run with 19 in all.
"""


def allow(slots: int) -> None:
    """Raise this process's own limit as far as it may be. Raises InvalidSetting when so many slots need more."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    allowed = sys.maxsize if hard == resource.RLIM_INFINITY else hard
    needed = OF_THE_WORKER + slots * OF_A_SLOT
    if allowed < needed:
        raise InvalidSetting(
            f"SLOTS is {slots}, for which the worker has to open up to {needed} files, but this host allows it "
            f"{allowed}: raise the limit (ulimit -n) or set SLOTS lower."
        )

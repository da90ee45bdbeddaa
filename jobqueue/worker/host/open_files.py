"""How many files a worker may have open, and how many it needs."""

from __future__ import annotations

import resource

from jobqueue.settings import InvalidSetting

OF_THE_WORKER = 24
OF_A_SLOT = 8
"""Files that the worker itself has open at most, and those that each slot adds: the supervisor's socket and what wakes
its thread, connections for the API, heartbeats and a download, the program, its copy, the outputs. Measured: four slots
ran with 19 in all. Up to 16 programs that the worker keeps come to that, so even one slot has enough.
"""


def allow(slots: int) -> None:
    """Raise this process's limit to the hard limit. Raises InvalidSetting when so many slots need more."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    needed = OF_THE_WORKER + slots * OF_A_SLOT
    if resource.RLIM_INFINITY != hard < needed:
        raise InvalidSetting(
            f"SLOTS is {slots}, for which the worker needs up to {needed} open files, but this host allows {hard}: "
            "raise the limit (ulimit -n) or set SLOTS lower."
        )

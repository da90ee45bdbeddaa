"""The clock that leases and the time limits of programs are counted by."""

from __future__ import annotations

import time

_BOOT_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # only Linux, where workers run, has the first


def since_boot() -> float:
    """Return the seconds since this machine was started, the time that it was suspended included.

    The API counts a lease while a laptop sleeps, and `time.monotonic` does not. All processes of a host agree on this
    clock, so that a worker can send a moment to its supervisors.
    """
    return time.clock_gettime(_BOOT_CLOCK)

"""What a slot asks the cache for: a program, and how long it is wanted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from jobqueue.net.time_limit import TICK_SECONDS
from jobqueue.worker.programs.errors import DownloadStopped
from jobqueue.worker.programs.verified_copy import VerifiedFile


def always() -> bool:
    """Wait for as long as it takes."""
    return True


@dataclass(frozen=True)
class ProgramRequest:
    """A request for a program: where it comes from, where it goes, and when it is withdrawn.

    That is when `stopped` is set and, while nothing is being downloaded, when `may_wait` returns False: a worker that
    shuts down lets a download go on, but does not wait for a server to come back. `verified` keeps the file at the
    target open.
    """

    url: str
    sha256: str
    target: Path
    stopped: threading.Event
    may_wait: Callable[[], bool] = always
    verified: VerifiedFile = field(default_factory=VerifiedFile)

    def wait(self, seconds: float) -> None:
        """Wait that long. Raises DownloadStopped within a moment after the request is withdrawn."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            if self.stopped.wait(max(min(left, TICK_SECONDS), 0)) or not self.may_wait():
                raise DownloadStopped
            if left <= 0:
                return

"""The worker's own child processes and those that it had before it was a worker, told from the orphans that a killed
one leaves to it.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import Any

from jobqueue.worker.host.process_tree import children_of, kill_children


class Family:
    """Starts processes and knows them. Any thread may start, wait for and sweep."""

    def __init__(self, kill: Callable[[set[int]], object] = kill_children) -> None:
        """`kill` kills every child of this process but those it is given."""
        self._kill = kill
        self._lock = threading.Lock()
        self._own: set[int] = set()
        self._older = frozenset(children_of(os.getpid()))

    def start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a process, with Popen's options. It counts as ours until `wait` has returned."""
        with self._lock:
            process = subprocess.Popen(command, **options)
            self._own.add(process.pid)
        return process

    def wait(self, process: subprocess.Popen[bytes]) -> int:
        """Return a process's exit code when it has ended."""
        status = process.wait()
        with self._lock:
            self._own.discard(process.pid)
        return status

    def sweep(self) -> None:
        """Kill every child that neither is ours nor was there before us (a shell that becomes a worker may have started
        others): what a killed supervisor's program had started came to us.
        """
        with self._lock:
            self._kill(self._own | self._older)

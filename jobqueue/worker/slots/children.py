"""Tells the worker's own child processes from orphans that it inherits when a supervisor is killed."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from jobqueue.worker.host import child_process
from jobqueue.worker.host.process_tree import children_of, kill_children, reap_ended

REAP_SECONDS = 1.0
"""Poll interval for orphans that have ended."""


class Children:
    """Starts processes and remembers them. Any thread may call any of the functions."""

    def __init__(self, kill: Callable[[set[int]], object] = kill_children) -> None:
        """`kill` kills every child of this process except those that it is given."""
        self._kill = kill
        self._lock = threading.Lock()
        self._own: set[int] = set()
        self._older = frozenset(children_of(os.getpid()))

    def start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a process of the worker's own, with Popen's options. It counts as ours until `wait` has returned.

        Raises OSError.
        """
        # The lock covers both steps: `kill_orphans` in between would take the new process for an orphan and kill it.
        with self._lock:
            process = child_process.start(command, child_process.helper_environment(), **options)
            self._own.add(process.pid)
        return process

    def wait(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until a process has ended, and forget it."""
        process.wait()
        with self._lock:
            self._own.discard(process.pid)

    def kill_orphans(self) -> None:
        """Kill every child that is neither our own nor older than this object.

        Such a child is an orphan: a killed supervisor's program had started it. Older children exist where a shell
        started other processes before it became the worker.
        """
        with self._lock:
            self._kill(self._own | self._older)

    def reap_orphans(self) -> None:
        """Reap every child that has ended and that nobody waits for."""
        # Such children come from killed supervisors. As the first process of a container the worker also becomes the
        # parent of what `docker exec` and `nsenter` leave behind. Our own are spared: somebody waits for their status.
        with self._lock:
            reap_ended(spare=self._own)

    def keep_reaping(self) -> None:
        """Reap orphans from now on, in a thread."""
        # By polling, since the alternative is SIGCHLD: that would have to be blocked in every thread, which all
        # children would inherit, and several ends may share one signal, so each would cost the same search.
        threading.Thread(target=self._keep_reaping, name="reaper", daemon=True).start()

    def _keep_reaping(self) -> None:
        while True:
            time.sleep(REAP_SECONDS)
            self.reap_orphans()

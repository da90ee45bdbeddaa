"""The supervisor of a slot as a process: started, replaced when it is gone, resumed when it is stopped, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import threading

from jobqueue.worker.isolation.levels import Isolation
from jobqueue.worker.slots import spawn
from jobqueue.worker.slots.children import Children


class SupervisorProcess:
    """The current supervisor of a slot, with the `channel` to it.

    The thread that runs programs in the slot uses the channel, replaces, resumes and kills. Another thread may hang up
    and close at any time.
    """

    def __init__(self, children: Children, isolation: Isolation, open_files: int) -> None:
        """Start it. `open_files` is how many files each process of a program may have open. Raises OSError."""
        self._children = children
        self._isolation = isolation
        self._open_files = open_files
        self.closed = False
        """Whether the slot is being closed, so that no program must be started any more."""
        # Held while one supervisor ends and another starts, which may take seconds. So nobody needs it who must not
        # wait: neither a stop nor `hang_up`.
        self._lifetime = threading.Lock()
        self._process, self.channel = spawn.start(children, isolation, open_files)

    @property
    def pid(self) -> int:
        """The process id of the current supervisor."""
        return self._process.pid

    def is_gone(self) -> bool:
        """Whether the current supervisor has ended."""
        return self._process.poll() is not None

    def is_stopped(self) -> bool:
        """Whether somebody, probably a job of the same user, has stopped the supervisor by SIGSTOP."""
        try:
            return os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return False

    def resume(self) -> None:
        """Let a stopped supervisor go on."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill the supervisor. Its program dies with it, and the channel closes."""
        self._process.kill()

    def replace(self) -> None:
        """Start another supervisor in place of this one, which is killed if it still runs. Raises OSError.

        After `hang_up` nothing is started. After an OSError the supervisor is gone, and `replace` may be called again.
        """
        with self._lifetime:
            if not self.closed:
                self._end(0)
                self._process, self.channel = spawn.start(self._children, self._isolation, self._open_files)

    def hang_up(self) -> None:
        """Let the supervisor end its program and exit. Does not wait."""
        self.closed = True
        self.channel.hang_up()

    def close(self, within_seconds: float) -> None:
        """End the supervisor, by force after that time; return when it and all that its program started are gone."""
        self.hang_up()
        with self._lifetime:
            self._end(within_seconds)

    def _end(self, within_seconds: float) -> None:
        self.channel.hang_up()  # again: a replacement may have been started while `hang_up` was called
        try:
            self._process.wait(within_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._children.wait(self._process)
        self.channel.close()
        # A supervisor that exits by itself has killed everything below it. If it was killed, its orphans are ours.
        self._children.sweep()

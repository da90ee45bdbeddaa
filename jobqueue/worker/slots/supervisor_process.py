"""The process of a supervisor, seen from the worker: started, found suspended, ended."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import jobqueue
from jobqueue.worker.host.shared_flag import SharedFlag
from jobqueue.worker.isolation.levels import Isolation
from jobqueue.worker.slots.children import Children
from jobqueue.worker.supervisor.channel import Channel

CODE = Path(jobqueue.__file__).parents[1]
"""The directory that `jobqueue` is imported from: a checkout, or an installation's site-packages."""

BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); from jobqueue.worker.supervisor.main import main; main(*sys.argv[2:])"
)


class SupervisorProcess:
    """A supervisor: `process` is its handle, `channel` the worker's end of the socket to it.

    It sets `begun` just before it starts a program: from then on, the program may be what kills it.
    """

    def __init__(self, children: Children, isolation: Isolation, open_files: int) -> None:
        """Start it. Raises OSError.

        It is a new Python process that inherits one end of a socket, the standard outputs, and no variables but PATH.
        """
        self._children = children
        ours, theirs = socket.socketpair()
        self.channel = Channel(ours)
        with theirs, ExitStack() as undo:
            undo.callback(self.channel.close)
            self.begun = SharedFlag()
            undo.callback(self.begun.close)
            passed = theirs.fileno(), self.begun.fileno()
            arguments = [str(CODE), *map(str, passed), json.dumps(isolation.describe()), str(open_files)]
            self.process = children.start(
                # With -I, Python ignores PYTHON* variables, the user's site-packages and the current directory, so a
                # supervisor imports nothing that a program has put there. That is why the boot code adds CODE.
                [sys.executable, "-I", "-c", BOOT, *arguments],
                pass_fds=passed,
            )
            undo.pop_all()

    def is_suspended(self) -> bool:
        """Whether somebody has suspended it by SIGSTOP, as a job of the same user can."""
        # WNOWAIT leaves the status to Popen. There is none to wait for once Popen has reaped the process.
        with suppress(ChildProcessError):
            return os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None
        return False

    def end(self, within_seconds: float) -> None:
        """End it, by force after that time; return when it and all that its program started are gone.

        May be called again, until `close`.
        """
        self.channel.hang_up()
        try:
            self.process.wait(within_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._children.wait(self.process)
        # A supervisor that exits by itself has killed everything below it. If it was killed, its orphans are now
        # children of this process.
        self._children.kill_orphans()

    def close(self) -> None:
        """Free the descriptors of the channel and of the flag. Nobody may use them then."""
        self.channel.close()
        self.begun.close()

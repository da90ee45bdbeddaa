"""Starts a supervisor: a new Python process that inherits nothing of the worker's but its end of a socket."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

from jobqueue.worker import supervisor
from jobqueue.worker.isolation.levels import Isolation
from jobqueue.worker.slots.children import Children
from jobqueue.worker.supervisor.channel import Channel

CODE = Path(str(files("jobqueue"))).parent
"""The directory that `jobqueue` is imported from: a checkout, or an installation's site-packages."""
BOOT = f"""
import sys
sys.path.insert(0, sys.argv[1])
from {supervisor.__name__} import main
main.main(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
"""


def start(children: Children, isolation: Isolation, open_files: int) -> tuple[subprocess.Popen[bytes], Channel]:
    """Return a new supervisor and the channel to it. Raises OSError."""
    ours, theirs = socket.socketpair()
    arguments = [str(CODE), str(theirs.fileno()), json.dumps(isolation.describe()), str(open_files)]
    try:
        with theirs:
            process = children.start(
                # Python ignores PYTHON* variables, the user's site-packages and the current directory with -I: a
                # supervisor imports nothing that a program could have put there. That is why the boot code adds CODE.
                [sys.executable, "-I", "-c", BOOT, *arguments],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},  # None of the worker's secrets.
            )
    except BaseException:
        ours.close()
        raise
    return process, Channel(ours)

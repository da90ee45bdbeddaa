"""How a supervisor comes to life: a new Python that has nothing of the worker's but its end of a socket."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from jobqueue.worker.isolation.levels import Isolation
from jobqueue.worker.slots.children import Family

CODE = Path(__file__).parents[3]
BOOT = """
import sys
sys.path.insert(0, sys.argv[1])
from jobqueue.worker.supervisor import main
main.main(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
"""


def start(family: Family, isolation: Isolation, open_files: int) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Return a new supervisor, and the socket to it. Raises OSError."""
    control, theirs = socket.socketpair()
    told = [str(theirs.fileno()), json.dumps(isolation.describe()), str(open_files)]
    try:
        with theirs:
            process = family.start(
                [sys.executable, "-I", "-c", BOOT, str(CODE), *told],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},  # none of the worker's secrets
            )
    except BaseException:
        control.close()
        raise
    return process, control

"""What a job does: it starts a program, reads its output, and notes when it ended."""

import os
import subprocess
import time

REDIS_URL = os.environ["PEER_REDIS_URL"]


def run(program: str) -> None:
    """Run a program to its end."""
    done = subprocess.run([program], capture_output=True, check=True)
    note(time.monotonic_ns(), done.stdout.decode().strip())


def note(ended_ns: int, output: str) -> None:
    """Append a line to the log of ended jobs, in one write, as several processes write there."""
    log = os.open(os.environ["PEER_LOG"], os.O_WRONLY | os.O_APPEND)
    os.write(log, f"{ended_ns} {output}\n".encode())
    os.close(log)

"""Starts processes that end with the benchmark, whatever it ends of."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.rig.usage import family
from jobqueue.local.program import end_with

STOP_SECONDS = 30.0
START_SECONDS = 60.0
POLL_SECONDS = 0.02
ROOT = Path(__file__).resolve().parents[2]

Process = subprocess.Popen[bytes]


class DidNotHappen(Exception):
    """Something that was waited for has not happened in time. The message says what."""


@contextmanager
def running(
    command: Sequence[str], variables: Mapping[str, str], log: Path, folder: Path = ROOT, stdin: bytes = b""
) -> Iterator[Process]:
    """Start a process that writes to a log; stop it, and what is left of its descendants, at the end."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env=dict(variables),
            cwd=folder,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=functools.partial(end_with, os.getpid()),  # noqa: PLW1509  # it takes no lock
        )
    try:
        if process.stdin:
            process.stdin.write(stdin)
            process.stdin.close()
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[Any]) -> None:
    """End a process with SIGTERM, and whatever is left of its descendants after that with SIGKILL."""
    whole = family(process.pid)
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid, started in whole.items():
        if pid != process.pid and family(pid).get(pid) == started:  # or the number belongs to another process by now
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def wait_until(what: str, happened: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    """Return as soon as something has happened. Raises DidNotHappen when it takes too long."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise DidNotHappen(f"{what}: not within {seconds:g} seconds")
        time.sleep(POLL_SECONDS)

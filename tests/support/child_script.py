"""Python scripts that tests run in a process of their own. They can import this repository."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.paths import ROOT

TIME_LIMIT_SECONDS = 60


def command(script: str, *arguments: str | Path) -> list[str]:
    """Return the command that runs a script. Its arguments are sys.argv[1:]."""
    return [sys.executable, "-c", f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{script}", *map(str, arguments)]


def output_of(script: str, *arguments: str | Path, before: Callable[[], None] | None = None) -> str:
    """Run a script to its end, after `before` in the new process; return what it prints. It must exit with 0."""
    ended = subprocess.run(
        command(script, *arguments),
        stdout=subprocess.PIPE,
        timeout=TIME_LIMIT_SECONDS,
        check=True,
        text=True,
        preexec_fn=before,  # the setting that a test makes there cannot be made before the fork
    )
    return ended.stdout


@contextmanager
def running(script: str, *arguments: str | Path, stderr: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """A process that runs a script, with pipes to its standard input and output. It is killed at the end."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command(script, *arguments), stdin=pipe, stdout=pipe, stderr=stderr, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line_from(process: subprocess.Popen[str]) -> str:
    """Return the next line that a script prints, with its line break; "" after its end."""
    assert process.stdout is not None
    return process.stdout.readline()


def send_line(process: subprocess.Popen[str]) -> None:
    """Send an empty line to the script's standard input."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()

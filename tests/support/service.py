"""Processes of the project, started as the Procfile says and stopped by their process ids."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import PATH, ROOT
from tests.support.processes import family, signal_all
from tests.support.waiting import TIME_LIMIT_SECONDS


@dataclass
class Service:
    """A running process of the project, and the file that it logs to."""

    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(
        cls, command: list[str], folder: Path, name: str, variables: Mapping[str, str], code: Path = ROOT
    ) -> Service:
        """Start Python with these arguments in the project's folder, or in one with another version of it, with PATH,
        TMPDIR and `variables` as its whole environment.
        """
        log = folder / f"{name}.log"
        temporary = folder / f"{name}.tmp"
        temporary.mkdir(exist_ok=True)
        environment = {"PATH": PATH, "TMPDIR": str(temporary), **variables}
        with log.open("ab") as file:
            process = subprocess.Popen(
                [sys.executable, *command], cwd=code, env=environment, stdout=file, stderr=subprocess.STDOUT
            )
        return cls(process, log)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def logged(self, text: str) -> bool:
        """Whether the log contains that text."""
        return text in self.log.read_text(errors="replace")

    def wait(self) -> int:
        """Return its exit code."""
        return self.process.wait(TIME_LIMIT_SECONDS)

    def kill(self) -> None:
        """Kill this process alone."""
        self.process.kill()
        self.process.wait()

    def kill_whole(self) -> None:
        """Kill it and all its descendants, unless it has ended: then its process id may belong to another process."""
        if self.process.poll() is None:
            signal_all(family(self.pid), signal.SIGKILL)
            self.process.wait()

"""A directory for one attempt: where its program lies and where it runs, gone when it ends whatever it left there
(but not when the worker itself is killed).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from jobqueue import logs

PREFIX = "jobqueue-"


class Workspace:
    """`program` is the downloaded file, `directory` the empty one that the job is started in."""

    def __init__(self, parent: Path | None = None) -> None:
        self._root = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        self.program = self._root / "program"
        self.directory = self._root / "work"
        self.directory.mkdir(mode=0o700)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove everything; what cannot go is logged and left. Never raises: the job's result matters more.

        What a job made unreadable, nested deeper than Python counts or named longer than a path may be, is left to the
        tools that were made for it.
        """
        try:
            shutil.rmtree(self._root)
        except (OSError, RecursionError):
            self._remove_by_force()

    def _remove_by_force(self) -> None:
        for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
            done = subprocess.run([*command, "--", self._root], capture_output=True, check=False)
        if self._root.exists():
            logs.logger().error(
                "workspace_left", path=str(self._root), reason=done.stderr.decode(errors="replace")[:500]
            )

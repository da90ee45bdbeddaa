"""A directory for one attempt: where its program lies and where it runs, gone when it ends whatever it left there."""

from __future__ import annotations

import os
import shutil
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
        """Remove everything, also what the job made unreadable. What cannot go is logged and left."""
        make_removable(self._root)
        try:
            shutil.rmtree(self._root)
        except OSError as error:
            logs.logger().error("workspace_left", path=str(self._root), reason=str(error))


def make_removable(root: Path) -> None:
    """Make every directory below `root` ours to read and change; symbolic links are not followed."""
    for folder, names, _ in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                os.chmod(path, 0o700)

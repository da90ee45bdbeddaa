"""Writes every script of `lua/` into a directory as Redis gets it, with its fragments before it, for a linter to read.

Run as `python -m tools.assemble_lua DIRECTORY`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from jobqueue.queue.scripts import LUA, assemble


def write_assembled(directory: Path) -> None:
    """Write all assembled scripts into `directory`, which is made if it does not exist."""
    directory.mkdir(parents=True, exist_ok=True)
    for path in sorted(LUA.glob("*.lua")):
        (directory / path.name).write_text(assemble(path))


if __name__ == "__main__":
    write_assembled(Path(sys.argv[1]))

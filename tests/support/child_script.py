"""Python scripts that tests run in a process of their own."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def command(script: str, *arguments: str | Path) -> list[str]:
    """Return the command that runs a script. It can import this repository, and its arguments are sys.argv[1:]."""
    return [sys.executable, "-c", f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{script}", *map(str, arguments)]

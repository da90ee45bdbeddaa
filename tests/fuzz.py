"""Compares a running API with its OpenAPI document by schemathesis: `python -m tests.fuzz [seconds]`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.serving import standing_api

SECONDS = 120


def fuzz(seconds: int, capture: bool = False) -> subprocess.CompletedProcess[str]:
    """Send requests generated from the document for `seconds` to an API of its own; schemathesis prints a summary.

    It runs in the root of the repository, where schemathesis.toml lists what is not a fault, and why.
    """
    with standing_api() as api:
        program = str(Path(sys.executable).with_name("schemathesis"))
        command = [program, "run", f"{api.url}/openapi.json", "--max-time", str(seconds), "--no-color"]
        hooks = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.support.fuzz_hooks", "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=ROOT, env=hooks, text=True, capture_output=capture, check=False)


def main(arguments: list[str]) -> int:
    """Fuzz and return schemathesis's exit code."""
    return fuzz(int(arguments[0]) if arguments else SECONDS).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

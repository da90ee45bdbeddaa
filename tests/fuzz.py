"""Compares a running API with its OpenAPI document by schemathesis: `python -m tests.fuzz [seconds]`.

It does so for an open API, and for one with tokens: without a token, and with one of each scope.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from jobqueue.access.scopes import Scope
from tests.support.paths import ROOT
from tests.support.serving import standing_api
from tests.support.tokens import bearer, line

SECONDS = 120
NOBODY = "nobody"
CALLERS = ("", NOBODY, *Scope)
"""Who sends the requests: "" calls an open API, NOBODY one with tokens without having one, the others have a scope."""


def fuzz(seconds: int, caller: str = "", capture: bool = False) -> subprocess.CompletedProcess[str]:
    """Send requests generated from the document for `seconds` to an API of its own; schemathesis prints a summary.

    It runs in the root of the repository, where schemathesis.toml lists what is not a fault, and why.
    """
    tokens = {"API_TOKENS": ",".join(line(scope, scope) for scope in Scope)} if caller else {}
    with standing_api(**tokens) as api:
        program = str(Path(sys.executable).with_name("schemathesis"))
        command = [program, "run", f"{api.url}/openapi.json", "--max-time", str(seconds), "--no-color"]
        for name, value in bearer(caller).items() if caller in list(Scope) else ():
            command += ["--header", f"{name}: {value}"]
        hooks = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.support.fuzz_hooks", "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=ROOT, env=hooks, text=True, capture_output=capture, check=False)


def main(arguments: list[str]) -> int:
    """Fuzz as each caller in turn, together for so many seconds; return an exit code that is 0 if there is no fault."""
    seconds = int(arguments[0]) if arguments else SECONDS
    return max(fuzz(max(seconds // len(CALLERS), 1), caller).returncode for caller in CALLERS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Each command says its version."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jobqueue import __version__
from tests.support.paths import ROOT


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["worker.py"], "jobqueue-worker"),
        (["-m", "jobqueue.web.server"], "jobqueue-server"),
    ],
)
def test_a_command_says_its_version(command: list[str], name: str) -> None:
    ended = subprocess.run(
        [sys.executable, *command, "--version"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert ended.stdout == f"{name} {__version__}\n"

"""The project as it was before workers and servers spoke about many jobs at once, from the repository's history."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.support.paths import ROOT

FIRST_NEW_FILES = ("jobqueue/client/batches.py", "lua/look.lua")
"""Files that came with the new requests."""


def extract_older_version(folder: Path) -> Path:
    """Write the last version before the first of these files into a folder and return it. Skip the test where there is
    no history.
    """
    additions = _git("log", "--diff-filter=A", "--format=%ct %H", "--", *FIRST_NEW_FILES).split("\n")
    first = min((line.split() for line in additions if line), default=None)
    if first is None:
        pytest.skip("the history of the repository is not here")
    archive = subprocess.run(["git", "archive", f"{first[1]}^"], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode != 0:
        pytest.skip("the history of the repository does not go back far enough")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="tar")
    return folder


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout

"""A level of isolation is tried with a program before a job is, and what is wrong with it said in a sentence."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import structlog

from jobqueue.worker.isolation import bubblewrap, landlock, levels
from jobqueue.worker.isolation.levels import ImpossibleIsolation
from jobqueue.worker.slots.children import Family
from jobqueue.worker.slots.selftest import probe
from jobqueue.worker.slots.workspace import Workspaces
from tests.support.confined import python

CODE = Path(__file__).parents[3]
PACKAGES = str(Path(structlog.__file__).parents[1])
PROBE_ALL = """
import json, pathlib, sys, tempfile
sys.path += sys.argv[1:]
from contextlib import closing
from jobqueue.worker.slots.children import Family
from jobqueue.worker.isolation.levels import LEVELS
from jobqueue.worker.slots.selftest import probe
from jobqueue.worker.slots.workspace import Workspaces
with closing(Workspaces(Family(lambda _: None), pathlib.Path(tempfile.gettempdir()))) as workspaces:
    print(json.dumps({level: probe(level, workspaces) for level in LEVELS}))
"""


@pytest.fixture
def workspaces(temporary: Path) -> Iterator[Workspaces]:
    with closing(Workspaces(Family(lambda _: None), temporary)) as workspaces:
        yield workspaces


def test_a_level_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ImpossibleIsolation, match="one of none, landlock, user, bwrap"):
        levels.make("docker", ())


def test_what_is_missing_is_said_in_a_sentence(workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "find", lambda: None)
    monkeypatch.setattr(landlock, "version", lambda: 0)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert probe("bwrap", workspaces) == (
        "ISOLATION is 'bwrap', but this host has no bwrap program; install bubblewrap or choose none."
    )
    assert "this kernel has no Landlock" in str(probe("landlock", workspaces))
    assert "does not run as root" in str(probe("user", workspaces))


def test_what_fails_in_practice_is_said_in_a_sentence(
    workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace'\nexit 1")
    broken.chmod(0o755)
    monkeypatch.setattr(bubblewrap, "find", lambda: str(broken))
    assert probe("bwrap", workspaces) == (
        f"Programs cannot be run in '{workspaces.path.parent}' with ISOLATION=bwrap "
        "(bwrap: No permissions to create new namespace): choose another level, or a TMPDIR on a file system that is "
        "not mounted noexec."
    )


def test_a_wall_with_a_hole_is_found(workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hole = tmp_path / "bwrap"
    hole.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"')
    hole.chmod(0o755)
    monkeypatch.setattr(bubblewrap, "find", lambda: str(hole))
    assert "a program can read what it must not" in str(probe("bwrap", workspaces))


def test_it_is_run_with_as_many_open_files_as_jobs_get(
    workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tells = tmp_path / "bwrap"
    tells.write_text("#!/bin/sh\nulimit -n\nexit 1")
    tells.chmod(0o755)
    monkeypatch.setattr(bubblewrap, "find", lambda: str(tells))
    assert "(99)" in str(probe("bwrap", workspaces, open_files=99))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_gets_what_needs_no_root() -> None:
    command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", python(), "-I", "-c", PROBE_ALL]
    ended = subprocess.run([*command, str(CODE), PACKAGES], capture_output=True, text=True, cwd="/", check=False)
    if "PermissionError" in ended.stderr or "No module named" in ended.stderr:
        pytest.skip("this checkout is closed to other users")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["none"] is None
    assert found["landlock"] is None or not landlock.version()
    assert "does not run as root" in found["user"]
    assert found["bwrap"] is None or "bwrap" in found["bwrap"]

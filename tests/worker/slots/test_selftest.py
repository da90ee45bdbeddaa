"""A small program tries out a level of isolation; a sentence says what is wrong with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import structlog

from jobqueue.worker.isolation import landlock, levels
from jobqueue.worker.isolation.levels import FIRST_UID, ImpossibleIsolation
from jobqueue.worker.slots.selftest import problem_with_level
from jobqueue.worker.slots.workspace import Workspaces
from tests.support.confined import python
from tests.support.paths import ROOT
from tests.support.slots import OPEN_FILES, sparing_children

PACKAGES = str(Path(structlog.__file__).parents[1])
TRY_ALL_LEVELS = """
import json, pathlib, sys, tempfile
sys.path += sys.argv[1:]
from contextlib import closing
from jobqueue.worker.isolation.levels import FIRST_UID
from jobqueue.worker.isolation.levels import LEVELS
from jobqueue.worker.slots.children import Children
from jobqueue.worker.slots.selftest import problem_with_level
from jobqueue.worker.slots.workspace import Workspaces
with closing(Workspaces(Children(lambda _: None), pathlib.Path(tempfile.gettempdir()))) as workspaces:
    print(json.dumps({level: problem_with_level(level, workspaces, FIRST_UID, 4096) for level in LEVELS}))
"""


@pytest.fixture
def workspaces(temporary: Path) -> Iterator[Workspaces]:
    with closing(Workspaces(sparing_children(), temporary)) as workspaces:
        yield workspaces


def problem_with(level: str, workspaces: Workspaces, open_files: int = OPEN_FILES) -> str | None:
    return problem_with_level(level, workspaces, FIRST_UID, open_files)


def test_a_level_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ImpossibleIsolation, match="one of none, landlock, user, bwrap"):
        levels.make("docker", ())


def test_a_level_whose_means_are_missing_is_explained_in_a_sentence(
    workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(landlock, "version", lambda: 0)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert problem_with("bwrap", workspaces) == (
        "ISOLATION is 'bwrap', but this host has no bwrap program; install bubblewrap or choose none."
    )
    assert "this kernel has no Landlock" in str(problem_with("landlock", workspaces))
    assert "does not run as root" in str(problem_with("user", workspaces))


def test_a_level_that_fails_when_tried_is_explained_in_a_sentence(
    workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace'\nexit 1")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.defpath}")
    assert problem_with("bwrap", workspaces) == (
        f"Programs cannot be run in '{workspaces.path.parent}' with ISOLATION=bwrap "
        "(bwrap: No permissions to create new namespace): choose another level, or a TMPDIR on a file system that is "
        "not mounted noexec."
    )


def test_a_sandbox_with_a_hole_is_found(
    workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hole = tmp_path / "bwrap"
    hole.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"')
    hole.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.defpath}")
    assert "a program can read what it must not" in str(problem_with("bwrap", workspaces))


def test_the_program_has_the_open_files_limit_of_jobs(
    workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shows_limit = tmp_path / "bwrap"
    shows_limit.write_text("#!/bin/sh\nulimit -n\nexit 1")
    shows_limit.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.defpath}")
    assert "(99)" in str(problem_with("bwrap", workspaces, open_files=99))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_can_use_the_levels_that_need_no_root() -> None:
    command = [
        "setpriv",
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        python(),
        "-I",
        "-c",
        TRY_ALL_LEVELS,
    ]
    ended = subprocess.run([*command, str(ROOT), PACKAGES], capture_output=True, text=True, cwd="/", check=False)
    if "PermissionError" in ended.stderr or "No module named" in ended.stderr:
        pytest.skip("this checkout is closed to other users")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["none"] is None
    assert found["landlock"] is None or not landlock.version()
    assert "does not run as root" in found["user"]
    assert found["bwrap"] is None or "bwrap" in found["bwrap"]

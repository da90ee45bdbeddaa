from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from jobqueue.worker import bubblewrap, isolation, landlock
from jobqueue.worker.isolation import ImpossibleIsolation
from tests.worker.confined import python

CODE = Path(__file__).parents[2]


def test_a_level_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ImpossibleIsolation, match="one of none, landlock, user, bwrap"):
        isolation.make("docker", ())


def test_what_is_missing_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "find", lambda: None)
    monkeypatch.setattr(landlock, "version", lambda: 0)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert isolation.probe("bwrap") == (
        "ISOLATION is 'bwrap', but this host has no bwrap program; install bubblewrap or choose none."
    )
    assert "this kernel has no Landlock" in str(isolation.probe("landlock"))
    assert "does not run as root" in str(isolation.probe("user"))


def test_what_fails_in_practice_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace'\nexit 1")
    broken.chmod(0o755)
    monkeypatch.setattr(bubblewrap, "find", lambda: str(broken))
    assert isolation.probe("bwrap") == (
        "ISOLATION is 'bwrap', but a program could not be run in it here "
        "(bwrap: No permissions to create new namespace); choose another."
    )


def test_a_wall_with_a_hole_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hole = tmp_path / "bwrap"
    hole.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"')
    hole.chmod(0o755)
    monkeypatch.setattr(bubblewrap, "find", lambda: str(hole))
    assert "a program can read what it must not" in str(isolation.probe("bwrap"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_gets_what_needs_no_root() -> None:
    script = (
        f"import json, sys; sys.path.insert(0, {str(CODE)!r})\n"
        "from jobqueue.worker import isolation\n"
        "print(json.dumps({level: isolation.probe(level) for level in isolation.LEVELS}))"
    )
    command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", python(), "-I", "-c", script]
    ended = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    if "PermissionError" in ended.stderr or "No module named 'jobqueue'" in ended.stderr:
        pytest.skip("this checkout is closed to other users")
    found = json.loads(ended.stdout)
    assert found["none"] is None
    assert found["landlock"] is None or not landlock.version()
    assert "does not run as root" in found["user"]
    assert found["bwrap"] is None or "bwrap" in found["bwrap"]

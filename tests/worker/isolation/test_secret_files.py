"""A file with a secret of the worker's is hidden with its directory, or the worker does not start."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from jobqueue.worker.isolation import levels
from jobqueue.worker.isolation.levels import ImpossibleIsolation
from tests.support.confined import DENIED, sandbox, secret_below

READABLE = Path("/opt")
"""A directory that programs in a sandbox can read."""

HIDING = ("landlock", "bwrap")


@pytest.mark.parametrize("level", HIDING)
def test_a_secret_in_a_readable_directory_cannot_be_read_nor_what_replaces_it(level: str) -> None:
    with secret_below(READABLE) as secret:
        new = secret.with_name("new")
        new.write_text("secret")
        with sandbox(level) as made:
            assert made.try_each(f"read({str(secret)!r})") == ["secret"]
        with sandbox(level, *map(Path, levels.directories_around(level, secret))) as made:
            before = made.try_each(f"read({str(secret)!r})", f"read({str(new)!r})")
            new.rename(secret)
            after = made.try_each(f"read({str(secret)!r})")
    assert all(error in DENIED for error in [*before, *after])


@pytest.mark.parametrize("level", HIDING)
def test_what_a_link_leads_to_is_hidden_and_where_the_link_is(level: str, tmp_path: Path) -> None:
    with secret_below(READABLE) as secret, secret_below(READABLE) as other:
        link = other.with_name("link")
        link.symlink_to(secret)
        assert levels.directories_around(level, link) == sorted(map(str, (secret.parent, other.parent)))
        (tmp_path / "link").symlink_to(secret)
        assert levels.directories_around(level, tmp_path / "link") == [str(secret.parent)]


@pytest.mark.parametrize("level", HIDING)
def test_a_secret_that_programs_cannot_see_needs_no_hiding(level: str, tmp_path: Path) -> None:
    assert levels.directories_around(level, tmp_path / "token") == []
    assert levels.directories_around(level, Path("/token")) == []  # programs cannot list the root
    assert levels.directories_around(level, None) == []


@pytest.mark.parametrize("level", HIDING)
@pytest.mark.parametrize("folder", ["/etc", "/usr", "/dev/shm", os.path.realpath(sys.prefix)])  # as is
def test_a_secret_among_what_programs_need_is_refused(level: str, folder: str) -> None:
    with pytest.raises(ImpossibleIsolation, match="directory of its own"):
        levels.directories_around(level, Path(folder, "token"))


def test_the_level_user_takes_a_secret_that_other_users_cannot_read(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.touch(mode=0o600)
    assert levels.directories_around("user", secret) == []


@pytest.mark.parametrize("closed", [True, False])
def test_the_level_user_refuses_a_secret_that_every_user_can_read(closed: bool) -> None:
    with secret_below(Path("/tmp")) as secret:  # every user may enter it
        secret.chmod(0o644)
        secret.parent.chmod(0o700 if closed else 0o755)
        if closed:
            assert levels.directories_around("user", secret) == []
            return
        with pytest.raises(ImpossibleIsolation, match=r"chmod o-r"):
            levels.directories_around("user", secret)


def test_the_level_none_hides_nothing() -> None:
    assert levels.directories_around("none", Path("/etc/token")) == []

"""Where a worker keeps things: where it is told to, where such things belong, or where it can."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from jobqueue.settings import InvalidSetting
from jobqueue.worker.host import directories

Find = Callable[[Path | None, Mapping[str, str], Path], Path]


@dataclass(frozen=True)
class Kind:
    """One of the directories: how it is found, set and named."""

    find: Find
    setting: str
    variable: str
    below_home: Path
    name: str


CACHE = Kind(directories.cache_directory, "CACHE_DIR", "XDG_CACHE_HOME", Path(".cache"), "cache")
SPOOL = Kind(directories.spool_directory, "SPOOL_DIR", "XDG_STATE_HOME", Path(".local/state"), "spool")
BOTH = pytest.mark.parametrize("kind", [CACHE, SPOOL], ids=lambda kind: kind.name)
OF_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory somebody else's")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of this test's own."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Where temporary files of this test's own go."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    return temporary


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@BOTH
def test_the_directory_asked_for_is_made_for_us_alone(kind: Kind, tmp_path: Path, temporary: Path) -> None:
    asked = tmp_path / "a/b"
    assert kind.find(asked, {"XDG_CACHE_HOME": "/elsewhere", "XDG_STATE_HOME": "/elsewhere"}, temporary) == asked
    assert mode(asked) == 0o700


@BOTH
def test_one_that_is_there_is_taken_as_it_is_with_what_it_holds(kind: Kind, tmp_path: Path, temporary: Path) -> None:
    asked = tmp_path / "there"
    asked.mkdir(mode=0o755)
    (asked / "file").write_text("text")
    assert kind.find(asked, {}, temporary) == asked
    assert mode(asked) == 0o755
    assert (asked / "file").read_text() == "text"


@BOTH
def test_left_out_it_is_where_such_things_belong(kind: Kind, home: Path, temporary: Path) -> None:
    assert kind.find(None, {}, temporary) == home / kind.below_home / "jobqueue"
    assert mode(home / kind.below_home / "jobqueue") == 0o700


@BOTH
def test_that_place_can_be_told(kind: Kind, tmp_path: Path, temporary: Path) -> None:
    assert kind.find(None, {kind.variable: str(tmp_path / "xdg")}, temporary) == tmp_path / "xdg/jobqueue"


@BOTH
def test_a_relative_one_does_not_count(kind: Kind, home: Path, temporary: Path) -> None:
    """So the XDG Base Directory Specification has it."""
    assert kind.find(None, {kind.variable: "xdg"}, temporary) == home / kind.below_home / "jobqueue"


@BOTH
def test_where_that_cannot_be_had_it_is_a_temporary_one(kind: Kind, home: Path, temporary: Path) -> None:
    (home / kind.below_home.parts[0]).write_text("no directory")
    with capture_logs() as logs:
        found = kind.find(None, {}, temporary)
    assert found == temporary / f"jobqueue.{os.geteuid()}" / kind.name
    assert mode(found) == mode(found.parent) == 0o700
    assert [log["event"] for log in logs] == ["directory_unusable"]


@BOTH
def test_where_neither_can_be_had_it_says_what_to_set(kind: Kind, home: Path, temporary: Path) -> None:
    (home / kind.below_home.parts[0]).write_text("no directory")
    (temporary / f"jobqueue.{os.geteuid()}").write_text("no directory either")
    with pytest.raises(InvalidSetting, match=rf"^{kind.setting} is not set, and '.*' cannot be had for it: .*\.$"):
        kind.find(None, {}, temporary)


@BOTH
def test_who_has_no_home_has_a_temporary_one(kind: Kind, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    assert kind.find(None, {}, temporary).is_relative_to(temporary)


@BOTH
def test_one_that_was_asked_for_and_cannot_be_had_is_refused_in_a_sentence(
    kind: Kind, tmp_path: Path, temporary: Path
) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(InvalidSetting, match=rf"^{kind.setting} is '.*/file/below', but must be a directory .*\.$"):
        kind.find(tmp_path / "file/below", {}, temporary)
    with pytest.raises(InvalidSetting, match=rf"^{kind.setting} is '.*/file', but must be a directory .*\.$"):
        kind.find(tmp_path / "file", {}, temporary)


@BOTH
@pytest.mark.parametrize("open_to", [0o777, 0o1777, 0o770, 0o702])
def test_one_that_others_may_write_in_is_refused_and_left_alone(
    kind: Kind, tmp_path: Path, temporary: Path, open_to: int
) -> None:
    """It may be /tmp, and this user root."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(open_to)
    with pytest.raises(InvalidSetting, match="others may write in it: name one below it"):
        kind.find(shared, {}, temporary)
    assert shared.stat().st_mode & 0o7777 == open_to


@BOTH
def test_a_link_is_refused_and_what_it_points_to_left_alone(kind: Kind, tmp_path: Path, temporary: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidSetting, match="is a link"):
        kind.find(tmp_path / "link", {}, temporary)
    assert mode(tmp_path / "elsewhere") == 0o755


@OF_ROOT
@BOTH
def test_somebody_elses_is_refused_and_left_alone(kind: Kind, tmp_path: Path, temporary: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o777)
    os.chown(theirs, 65534, 65534)
    before = mode(theirs)
    with pytest.raises(InvalidSetting, match="another user"):
        kind.find(theirs, {}, temporary)
    assert mode(theirs) == before


@OF_ROOT
@BOTH
def test_a_temporary_one_that_somebody_else_has_prepared_is_not_taken(kind: Kind, home: Path, temporary: Path) -> None:
    home.rmdir()
    home.write_text("no directory")
    trap = temporary / f"jobqueue.{os.geteuid()}"
    trap.mkdir()
    os.chown(trap, 65534, 65534)
    with pytest.raises(InvalidSetting, match="another user"):
        kind.find(None, {}, temporary)


def test_what_cannot_be_done_in_a_directory_is_told_by_its_setting(tmp_path: Path) -> None:
    told = r"^TMPDIR is '.*', which is of no use now: No space left on device\.$"
    with pytest.raises(InvalidSetting, match=told), directories.usable("TMPDIR", tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_the_machine_has_none_left_of_is_no_directorys_fault(tmp_path: Path) -> None:
    told = r"^The worker cannot begin .*: Resource temporarily unavailable\.$"
    with pytest.raises(InvalidSetting, match=told), directories.usable("TMPDIR", tmp_path):
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

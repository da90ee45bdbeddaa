"""The directories of the cache and the spool: the configured one, the standard one, or a temporary one."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from jobqueue.settings import InvalidSetting
from jobqueue.worker.host import directories
from jobqueue.worker.host.directories import Kind

BOTH = pytest.mark.parametrize("kind", [directories.CACHE, directories.SPOOL], ids=lambda kind: kind.name)
OF_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home for this test alone."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """A directory for the temporary files of this test."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    return temporary


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@BOTH
def test_the_configured_directory_is_made_for_this_user_alone(kind: Kind, tmp_path: Path, temporary: Path) -> None:
    configured = tmp_path / "a/b"
    assert (
        kind.find(configured, {"XDG_CACHE_HOME": "/elsewhere", "XDG_STATE_HOME": "/elsewhere"}, temporary) == configured
    )
    assert mode(configured) == 0o700


@BOTH
def test_an_existing_directory_keeps_its_mode_and_its_files(kind: Kind, tmp_path: Path, temporary: Path) -> None:
    configured = tmp_path / "there"
    configured.mkdir(mode=0o755)
    (configured / "file").write_text("text")
    assert kind.find(configured, {}, temporary) == configured
    assert mode(configured) == 0o755
    assert (configured / "file").read_text() == "text"


@BOTH
def test_the_standard_directory_lies_below_the_home(kind: Kind, home: Path, temporary: Path) -> None:
    assert kind.find(None, {}, temporary) == home / kind.below_home / "jobqueue"
    assert mode(home / kind.below_home / "jobqueue") == 0o700


@BOTH
def test_the_xdg_variable_names_another_standard_directory(kind: Kind, tmp_path: Path, temporary: Path) -> None:
    assert kind.find(None, {kind.xdg_variable: str(tmp_path / "xdg")}, temporary) == tmp_path / "xdg/jobqueue"


@BOTH
def test_a_relative_xdg_variable_is_ignored(kind: Kind, home: Path, temporary: Path) -> None:
    """The XDG Base Directory Specification demands it."""
    assert kind.find(None, {kind.xdg_variable: "xdg"}, temporary) == home / kind.below_home / "jobqueue"


@BOTH
def test_an_unusable_standard_directory_is_replaced_by_a_temporary_one_and_logged(
    kind: Kind, home: Path, temporary: Path
) -> None:
    (home / Path(kind.below_home).parts[0]).write_text("no directory")
    with capture_logs() as logs:
        found = kind.find(None, {}, temporary)
    assert found == temporary / f"jobqueue.{os.geteuid()}" / kind.name
    assert mode(found) == mode(found.parent) == 0o700
    assert [log["event"] for log in logs] == ["directory_unusable"]


@BOTH
def test_an_unusable_temporary_directory_is_refused_with_the_setting_to_set(
    kind: Kind, home: Path, temporary: Path
) -> None:
    (home / Path(kind.below_home).parts[0]).write_text("no directory")
    (temporary / f"jobqueue.{os.geteuid()}").write_text("no directory either")
    with pytest.raises(InvalidSetting, match=rf"^{kind.setting} is not set, and .* Set {kind.setting} to "):
        kind.find(None, {}, temporary)


@BOTH
def test_a_user_without_a_home_gets_a_temporary_directory(
    kind: Kind, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    assert kind.find(None, {}, temporary).is_relative_to(temporary)


@BOTH
def test_a_configured_directory_that_cannot_be_made_is_refused(kind: Kind, tmp_path: Path, temporary: Path) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(InvalidSetting, match=rf"^{kind.setting}=.*/file/below cannot be used: "):
        kind.find(tmp_path / "file/below", {}, temporary)
    with pytest.raises(InvalidSetting, match=rf"^{kind.setting}=.*/file cannot be used: "):
        kind.find(tmp_path / "file", {}, temporary)


@BOTH
@pytest.mark.parametrize("open_to", [0o777, 0o1777, 0o770, 0o702])
def test_a_directory_that_others_can_write_is_refused_and_left_alone(
    kind: Kind, tmp_path: Path, temporary: Path, open_to: int
) -> None:
    """It may be /tmp, and this user may be root."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(open_to)
    with pytest.raises(InvalidSetting, match="others can write in it"):
        kind.find(shared, {}, temporary)
    assert shared.stat().st_mode & 0o7777 == open_to


@BOTH
def test_a_link_is_refused_and_its_target_left_alone(kind: Kind, tmp_path: Path, temporary: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidSetting, match="is a link"):
        kind.find(tmp_path / "link", {}, temporary)
    assert mode(tmp_path / "elsewhere") == 0o755


@OF_ROOT
@BOTH
def test_another_users_directory_is_refused_and_left_alone(kind: Kind, tmp_path: Path, temporary: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o777)
    os.chown(theirs, 65534, 65534)
    before = mode(theirs)
    with pytest.raises(InvalidSetting, match="another user"):
        kind.find(theirs, {}, temporary)
    assert mode(theirs) == before


@OF_ROOT
@BOTH
def test_a_temporary_directory_that_another_user_has_prepared_is_refused(
    kind: Kind, home: Path, temporary: Path
) -> None:
    home.rmdir()
    home.write_text("no directory")
    trap = temporary / f"jobqueue.{os.geteuid()}"
    trap.mkdir()
    os.chown(trap, 65534, 65534)
    with pytest.raises(InvalidSetting, match="another user"):
        kind.find(None, {}, temporary)


def test_an_error_in_a_directory_is_reported_with_its_setting(tmp_path: Path) -> None:
    message = rf"^TMPDIR={tmp_path} cannot be used: no space left on device\.$"
    with pytest.raises(InvalidSetting, match=message), directories.usable("TMPDIR", tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_temporary_directory_has_to_exist(tmp_path: Path) -> None:
    message = rf"^TMPDIR={tmp_path}/missing cannot be used: it does not exist\.$"
    with pytest.raises(InvalidSetting, match=message), directories.usable("TMPDIR", tmp_path / "missing"):
        tempfile.mkdtemp(dir=tmp_path / "missing")


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_a_host_out_of_resources_is_reported_without_the_directory(tmp_path: Path, number: int) -> None:
    with pytest.raises(InvalidSetting) as raised, directories.usable("TMPDIR", tmp_path):
        raise OSError(number, os.strerror(number))
    assert "TMPDIR" not in str(raised.value)
    assert os.strerror(number)[1:] in str(raised.value)

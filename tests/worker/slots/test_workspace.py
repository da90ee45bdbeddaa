"""A workspace is empty when a job starts and removed when it has ended, whatever the job left in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from jobqueue.worker.isolation import levels
from jobqueue.worker.isolation.user import UserIsolation
from jobqueue.worker.slots.workspace import Workspaces
from tests.support.slots import sparing_children

NOBODY = 65534
NONE = levels.make("none", ())


@contextmanager
def without_privileges() -> Iterator[None]:
    """Become a user for whom file modes count."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def parent() -> Iterator[Path]:
    """A directory that everybody may use, like /tmp."""
    with tempfile.TemporaryDirectory(prefix="jq-") as folder:
        os.chmod(folder, 0o1777)
        yield Path(folder)
        subprocess.run(["rm", "-rf", folder], check=True)  # Python cannot remove what these tests leave
        os.mkdir(folder)


@pytest.fixture
def workspaces(parent: Path) -> Iterator[Workspaces]:
    """The workspaces of a worker that is not root: the files of its jobs belong to its own user."""
    with without_privileges():
        workspaces = Workspaces(sparing_children(), parent)
    yield workspaces
    with without_privileges():
        workspaces.close()


def left_in(workspaces: Workspaces) -> list[str]:
    """Return the names of what is in the directory."""
    return [path.name for path in workspaces.path.iterdir()]


def test_a_workspace_is_closed_to_others_and_its_directory_empty(workspaces: Workspaces) -> None:
    with workspaces.create("job-1", NONE) as workspace:
        assert list(workspace.directory.iterdir()) == []
        assert workspace.directory.stat().st_mode & 0o777 == 0o700
        assert workspace.program.parent.stat().st_mode & 0o777 == 0o711
        assert workspaces.path.stat().st_mode & 0o777 == 0o711
        assert not workspace.program.exists()
        assert workspace.directory not in workspace.program.parents


def test_two_workspaces_share_nothing(workspaces: Workspaces) -> None:
    with workspaces.create("job-1", NONE) as one, workspaces.create("job-1", NONE) as other:
        assert one.directory.parent != other.directory.parent


def test_a_workspace_is_removed_with_all_kinds_of_files(workspaces: Workspaces) -> None:
    with workspaces.create("job-1", NONE) as workspace:
        workspace.program.write_text("program")
        (workspace.directory / "a/b/c").mkdir(parents=True)
        (workspace.directory / "a/b/file").write_text("text")
        (workspace.directory / ".hidden").write_text("text")
        (workspace.directory / "loop").symlink_to(workspace.directory)
        os.mkfifo(workspace.directory / "fifo")
        (workspace.directory / "\n ü").write_text("text")
        (workspace.directory / os.fsdecode(b"\xff")).mkdir()
    assert left_in(workspaces) == []


def test_a_workspace_is_removed_when_the_attempt_raises(workspaces: Workspaces) -> None:
    with pytest.raises(ZeroDivisionError), workspaces.create("job-1", NONE):
        _ = 1 / 0
    assert left_in(workspaces) == []


def test_a_workspace_that_cannot_be_given_to_its_user_leaves_nothing(workspaces: Workspaces) -> None:
    owned = UserIsolation(uid=NOBODY + 1)
    with without_privileges(), pytest.raises(PermissionError):
        workspaces.create("job-1", owned)
    assert left_in(workspaces) == []


@pytest.mark.parametrize("mode", [0o000, 0o100, 0o400, 0o500])
def test_directories_that_the_job_made_unreadable_are_removed(workspaces: Workspaces, mode: int) -> None:
    with without_privileges(), workspaces.create("job-1", NONE) as workspace:
        inner = workspace.directory / "a/b"
        inner.mkdir(parents=True)
        (inner / "file").write_text("text")
        for each in (inner, inner.parent, workspace.directory):
            each.chmod(mode)
    assert left_in(workspaces) == []


def test_a_workspace_that_the_job_made_unreadable_is_removed(workspaces: Workspaces) -> None:
    with without_privileges(), workspaces.create("job-1", NONE) as workspace:
        workspace.directory.parent.chmod(0o000)
    assert left_in(workspaces) == []


def test_the_targets_of_symbolic_links_stay_as_they_are(workspaces: Workspaces, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o500)
    (tmp_path / "file").write_text("text")
    (tmp_path / "file").chmod(0o400)
    with workspaces.create("job-1", NONE) as workspace:
        (workspace.directory / "directory").symlink_to(outside)
        (workspace.directory / "file").symlink_to(tmp_path / "file")
        (workspace.directory / "nowhere").symlink_to(tmp_path / "nowhere")
    assert left_in(workspaces) == []
    assert outside.stat().st_mode & 0o777 == 0o500
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o400


def test_a_workspace_that_the_job_removed_is_no_error(workspaces: Workspaces) -> None:
    with workspaces.create("job-1", NONE) as workspace:
        subprocess.run(["rm", "-rf", workspace.directory.parent], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave a file of another user")
def test_the_directory_of_all_workspaces_is_created_again_when_a_job_removed_it(workspaces: Workspaces) -> None:
    gone = workspaces.path
    with without_privileges():
        with workspaces.create("job-1", NONE):
            shutil.rmtree(gone)
        with workspaces.create("job-2", NONE) as workspace:
            assert workspace.directory.is_dir()
    assert workspaces.path != gone
    assert left_in(workspaces) == []


def test_a_workspace_that_cannot_be_removed_is_logged_and_left(workspaces: Workspaces) -> None:
    with capture_logs() as logs, without_privileges(), workspaces.create("job-1", NONE) as workspace:
        os.seteuid(0)
        (workspace.directory / "a/b").mkdir(parents=True)
        os.seteuid(NOBODY)
    assert [log["event"] for log in logs] == ["workspace_left"]


def test_directories_with_very_long_paths_are_removed(workspaces: Workspaces) -> None:
    with workspaces.create("job-1", NONE) as workspace:
        nest(workspace.directory, "d" * 250, 20)
    assert left_in(workspaces) == []


def test_very_deeply_nested_directories_are_removed(workspaces: Workspaces) -> None:
    with workspaces.create("job-1", NONE) as workspace:
        nest(workspace.directory, "d", 1500)
    assert left_in(workspaces) == []


def test_directories_that_a_job_left_as_they_were_are_used_again_under_another_name(workspaces: Workspaces) -> None:
    with without_privileges():
        first = workspaces.create("job-1", NONE)
        first.program.write_text("program")
        inode = first.directory.stat().st_ino
        first.remove_within(0)()
        with workspaces.create("job-2", NONE, "tool") as second:
            assert (second.directory.stat().st_ino, first.directory.exists()) == (inode, False)
            assert second.directory.parent.name.startswith("job-2-")
            assert os.listdir(second.directory.parent) == ["work"]
            assert second.program.name == "tool"


@pytest.mark.parametrize(
    "command",
    [
        ": >file",
        ": >file; rm file",
        "mkdir ../other",
        "chmod 755 .",
        "chmod 755 ..",
        "touch .",
        "rmdir ../work; mkdir ../work",
    ],
)
def test_directories_that_a_job_has_changed_are_removed(workspaces: Workspaces, command: str) -> None:
    with without_privileges():
        workspace = workspaces.create("job-1", NONE)
        subprocess.run(["/bin/sh", "-c", f"sleep 0.02; {command}"], cwd=workspace.directory, check=True)
        workspace.remove_within(10)()
        assert left_in(workspaces) == []


def test_an_attribute_that_a_job_has_set_reaches_no_other_job(workspaces: Workspaces) -> None:
    workspace = workspaces.create("job-1", NONE)
    try:
        os.setxattr(workspace.directory.parent, "user.secret", b"1")
    except OSError:
        pytest.skip("this file system has no attributes")
    workspace.remove_within(10)()
    assert left_in(workspaces) == []


def test_directories_are_kept_for_the_same_user_only(workspaces: Workspaces) -> None:
    workspaces.create("job-1", NONE).remove_within(0)()
    (kept,) = left_in(workspaces)
    if os.geteuid() == 0:
        with workspaces.create("job-2", UserIsolation(uid=NOBODY)) as workspace:
            assert workspace.directory.stat().st_uid == NOBODY
            assert kept in left_in(workspaces)


def test_a_kept_directory_that_a_job_has_removed_is_made_anew(workspaces: Workspaces) -> None:
    with without_privileges():
        workspaces.create("job-1", NONE).remove_within(0)()
        (kept,) = workspaces.path.iterdir()
        shutil.rmtree(kept)
        with workspaces.create("job-2", NONE) as workspace:
            assert os.listdir(workspace.directory) == []


def nest(directory: Path, name: str, depth: int) -> None:
    """Make directories in directories, in a process of its own: the path may be longer than the kernel accepts."""
    script = f"import os\nfor _ in range({depth}):\n    os.mkdir({name!r})\n    os.chdir({name!r})"
    subprocess.run([sys.executable, "-IS", "-c", script], cwd=directory, check=True)

"""Symbolic links that a job leaves lead the worker elsewhere: to files that it then removes, changes or overwrites.

`tests/worker/slots/test_workspace.py` and `test_leftovers.py` try the same with what killed workers have left.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from jobqueue.worker.isolation.base import Isolation
from jobqueue.worker.programs.cache import Cache
from jobqueue.worker.programs.errors import DownloadFailed
from jobqueue.worker.programs.policy import DownloadRules
from jobqueue.worker.slots.workspace import Workspace, Workspaces
from tests.support.downloads import PROGRAM, sha256_of
from tests.support.fake_server import Reply, serving
from tests.support.slots import sparing_children

SHA256 = sha256_of(PROGRAM)


class Home:
    """A directory of the worker's user outside of everything that belongs to jobs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "deep" / "er").mkdir(parents=True)
        for name in ("file", "deep/file", "deep/er/file"):
            (path / name).write_text("precious")
        self._before = self._state()

    def _state(self) -> object:
        return sorted(
            (str(path), path.lstat().st_mode, path.lstat().st_mtime_ns, path.lstat().st_uid)
            for path in [self.path, *self.path.rglob("*")]
        )

    def assert_untouched(self) -> None:
        assert self._state() == self._before
        assert (self.path / "deep/er/file").read_text() == "precious"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def workspaces(tmp_path: Path) -> Iterator[Workspaces]:
    (tmp_path / "temporary").mkdir()
    with closing(Workspaces(sparing_children(), tmp_path / "temporary")) as workspaces:
        yield workspaces
    assert [*(tmp_path / "temporary").iterdir()] == []


def fill(workspace: Workspace, home: Path) -> None:
    for number in range(300):
        (workspace.directory / f"link-{number}").symlink_to(home / ("deep" if number % 2 else "file"))
    (workspace.directory / "home").symlink_to(home)
    (workspace.directory / "below").mkdir(mode=0o700)
    (workspace.directory / "below" / "home").symlink_to(home)
    (workspace.directory / "below").chmod(0)


def replace_directory(workspace: Workspace, home: Path) -> None:
    workspace.directory.rmdir()
    workspace.directory.symlink_to(home)


def replace_program(workspace: Workspace, home: Path) -> None:
    workspace.program.symlink_to(home / "file")


def replace_all(workspace: Workspace, home: Path) -> None:
    root = workspace.directory.parent
    shutil.rmtree(root)
    root.symlink_to(home)


@pytest.mark.parametrize("attack", [fill, replace_directory, replace_program, replace_all])
def test_nothing_outside_is_removed_with_what_a_job_has_left(
    workspaces: Workspaces, home: Home, attack: Callable[[Workspace, Path], None]
) -> None:
    workspace = workspaces.create("job", Isolation())
    attack(workspace, home.path)
    workspace.remove_within(10)()
    home.assert_untouched()
    with workspaces.create("next", Isolation()) as following:
        assert not following.directory.is_symlink()
        assert os.listdir(following.directory) == []


def lock_file(cache: Path, home: Path) -> None:
    (cache / SHA256[:2]).mkdir(exist_ok=True)
    (cache / SHA256[:2] / f"{SHA256}.lock").symlink_to(home / "file")


def entry(cache: Path, home: Path) -> None:
    (cache / SHA256[:2]).mkdir(exist_ok=True)
    (cache / SHA256[:2] / SHA256).symlink_to(home / "file")


def entry_to_directory(cache: Path, home: Path) -> None:
    (cache / SHA256[:2]).mkdir(exist_ok=True)
    (cache / SHA256[:2] / SHA256).symlink_to(home)


def shard(cache: Path, home: Path) -> None:
    (cache / SHA256[:2]).symlink_to(home)


def unfinished(cache: Path, home: Path) -> None:
    (cache / "ab").mkdir()
    for name in (f"{'ab' * 32}.0123.part", f"{'ab' * 32}.lock"):
        (cache / "ab" / name).symlink_to(home / "file")


@pytest.mark.parametrize("attack", [lock_file, entry, entry_to_directory, shard, unfinished])
def test_nothing_outside_is_changed_by_way_of_the_cache(
    tmp_path: Path, home: Home, attack: Callable[[Path, Path], None]
) -> None:
    directory = tmp_path / "cache"
    directory.mkdir(mode=0o700)
    attack(directory, home.path)
    with serving(lambda _: Reply(body=PROGRAM)) as server:
        for number in range(2):
            cache = Cache(directory, 1 << 30, DownloadRules(retry_seconds=0))
            with suppress(OSError, DownloadFailed):
                cache.fetch(f"{server.url}/x", SHA256, tmp_path / f"program-{number}", threading.Event())
    home.assert_untouched()


@pytest.mark.parametrize("cache_bytes", [0, 1 << 30])
def test_a_program_is_not_written_through_a_link_at_its_place(tmp_path: Path, home: Home, cache_bytes: int) -> None:
    cache = Cache(tmp_path / "cache", cache_bytes, DownloadRules(retry_seconds=0))
    (tmp_path / "program").symlink_to(home.path / "file")
    with serving(lambda _: Reply(body=PROGRAM)) as server, suppress(OSError, DownloadFailed):
        cache.fetch(f"{server.url}/x", SHA256, tmp_path / "program", threading.Event())
    home.assert_untouched()

"""No job can make another one get a wrong program, whatever it does to the cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.support.downloads import PROGRAM, Shop

pytestmark = pytest.mark.usefixtures("short_pauses")


def rewrite(entry: Path) -> None:
    entry.chmod(0o700)
    entry.write_bytes(b"#!/bin/sh\nsteal\n")


def append(entry: Path) -> None:
    entry.chmod(0o700)
    with entry.open("ab") as file:
        file.write(b"steal\n")


def cut(entry: Path) -> None:
    entry.chmod(0o700)
    os.truncate(entry, 3)


def make_fifo(entry: Path) -> None:
    entry.unlink()
    os.mkfifo(entry)


def make_directory(entry: Path) -> None:
    entry.unlink()
    (entry / "full").mkdir(parents=True)


def make_link(entry: Path) -> None:
    entry.unlink()
    entry.symlink_to("/bin/sh")


def make_dangling_link(entry: Path) -> None:
    entry.unlink()
    entry.symlink_to("nowhere")


def grow_without_end(entry: Path) -> None:
    entry.chmod(0o700)
    os.truncate(entry, 1 << 40)


def remove_shard(entry: Path) -> None:
    shutil.rmtree(entry.parent)


def remove_all(entry: Path) -> None:
    shutil.rmtree(entry.parent.parent)


CHANGES = [rewrite, append, cut, make_fifo, make_directory, make_link, make_dangling_link]
LOSSES = [*CHANGES, grow_without_end, remove_shard, remove_all]


@pytest.mark.parametrize("change", LOSSES)
def test_a_changed_entry_is_downloaded_again(shop: Shop, change: Callable[[Path], None]) -> None:
    cache = shop.open()
    shop.fetch(cache)
    change(shop.entry())
    assert shop.fetch(cache) is False
    assert shop.latest.read_bytes() == PROGRAM
    assert shop.latest.stat().st_mode & 0o7777 == 0o500
    assert shop.fetch(cache) is True


@pytest.mark.parametrize("change", [rewrite, append, cut, make_fifo, make_directory])
def test_a_changed_entry_is_logged(shop: Shop, change: Callable[[Path], None]) -> None:
    cache = shop.open()
    shop.fetch(cache)
    change(shop.entry())
    with capture_logs() as events:
        shop.fetch(cache)
    assert events == [{"event": "cache_corrupted", "log_level": "warning", "path": str(shop.entry())}]


def close_root(entry: Path) -> None:
    entry.parent.parent.chmod(0)


def close_shard(entry: Path) -> None:
    entry.parent.chmod(0)


def make_readonly(entry: Path) -> None:
    rewrite(entry)
    entry.parent.chmod(0o500)


def close_entry(entry: Path) -> None:
    entry.chmod(0)


@pytest.mark.parametrize("close", [close_root, close_shard, close_entry, make_readonly])
def test_a_directory_or_entry_without_permissions_is_repaired(shop: Shop, close: Callable[[Path], None]) -> None:
    cache = shop.open()
    shop.fetch(cache)
    close(shop.entry())
    shop.fetch(cache)
    assert shop.latest.read_bytes() == PROGRAM
    assert shop.fetch(cache) is True


def shard_to_link(entry: Path) -> None:
    shutil.rmtree(entry.parent)
    entry.parent.symlink_to(entry.parent.parent.parent)


def shard_to_file(entry: Path) -> None:
    shutil.rmtree(entry.parent)
    entry.parent.touch()


def root_to_file(entry: Path) -> None:
    shutil.rmtree(entry.parent.parent)
    entry.parent.parent.touch()


@pytest.mark.parametrize("change", [shard_to_link, shard_to_file, root_to_file])
def test_a_directory_that_cannot_be_repaired_is_an_error(shop: Shop, change: Callable[[Path], None]) -> None:
    cache = shop.open()
    shop.fetch(cache)
    change(shop.entry())
    with pytest.raises(OSError, match="not a directory"):
        shop.fetch(cache)
    assert not shop.latest.exists()


def test_a_cache_directory_that_is_a_link_is_refused(shop: Shop) -> None:
    (shop.folder / "elsewhere").mkdir()
    shop.directory.symlink_to(shop.folder / "elsewhere")
    with pytest.raises(OSError, match="is a link or a file, not a directory"):
        shop.open()


def test_a_cache_directory_of_another_user_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.directory.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(PermissionError, match="belongs to another user"):
        shop.open()

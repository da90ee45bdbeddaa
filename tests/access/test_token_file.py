"""The file of entries: every way in which it may change is noticed, and one that cannot be used is named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jobqueue.access.scopes import Scope
from jobqueue.access.token_file import MAX_BYTES, TokenFile, UnreadableFile
from tests.support.tokens import line, lines

LONG_AGO = 1_000_000_000
ONE, OTHER = line("one", Scope.READ), line("two", Scope.READ)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with one entry, which was written long ago as far as its times say."""
    path = tmp_path / "tokens"
    path.write_text(lines([ONE]))
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def names(file: TokenFile) -> list[str] | None:
    """Return the names in the file if it may have changed."""
    entries = file.read_if_changed()
    return None if entries is None else [entry.name for entry in entries]


def replaced(path: Path) -> None:
    """Put another file in its place, as deployments do."""
    new = path.with_suffix(".new")
    new.write_text(lines([OTHER]))
    new.rename(path)


def edited(path: Path) -> None:
    """Write into the file itself, as `cat >` does. Its size stays."""
    path.write_text(lines([OTHER]))


def edited_with_the_same_times(path: Path) -> None:
    """Write into the file, and set its times back."""
    path.write_text(lines([OTHER]))
    os.utime(path, (LONG_AGO, LONG_AGO))


def swapped(path: Path) -> None:
    """Let a symbolic link lead elsewhere, as Kubernetes does."""
    elsewhere = path.with_suffix(".other")
    elsewhere.write_text(lines([OTHER]))
    path.rename(path.with_suffix(".old"))
    path.symlink_to(elsewhere)


@pytest.mark.parametrize("change", [replaced, edited, edited_with_the_same_times, swapped])
def test_a_change_is_noticed(path: Path, change: Callable[[Path], None]) -> None:
    file = TokenFile(path)
    assert [entry.name for entry in file.read()] == ["one"]
    change(path)
    assert names(file) == ["two"]


def test_two_changes_at_one_moment_are_both_noticed(path: Path) -> None:
    file = TokenFile(path)
    for entry, name in [(ONE, "one"), (OTHER, "two")] * 20:  # the size is the same, and mostly the time as well
        path.write_text(lines([entry]))
        assert names(file) == [name]


def test_a_file_that_has_not_changed_for_a_while_is_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = TokenFile(path)
    file.read()
    monkeypatch.setattr("jobqueue.access.token_file.SETTLED_SECONDS", -1.0)
    assert file.read_if_changed() is None


def test_an_empty_file_counts_when_it_is_found_so_twice(path: Path) -> None:
    file = TokenFile(path)
    file.read()
    path.write_text("")
    assert names(file) is None
    assert names(file) == []
    path.write_text(lines([OTHER]))
    assert names(file) == ["two"]


def test_a_file_with_nothing_but_comments_counts_at_once(path: Path) -> None:
    file = TokenFile(path)
    file.read()
    path.write_text("# nobody\n")
    assert names(file) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"one:read", "not complete"),
        (b"\xff\xfe", "UTF-8"),
        (b"#" * (MAX_BYTES + 1), "larger"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(path: Path, content: bytes, said: str) -> None:
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=said) as caught:
        TokenFile(path).read()
    assert str(path) in str(caught.value)


def test_what_is_no_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "missing"):
        with pytest.raises(UnreadableFile, match=str(path)):
            TokenFile(path).read()


def test_a_file_that_is_gone_is_reported_once_and_read_when_it_is_back(path: Path) -> None:
    file = TokenFile(path)
    file.read()
    path.unlink()
    with pytest.raises(UnreadableFile, match="No such file"):
        file.read_if_changed()
    assert file.read_if_changed() is None
    path.write_text(lines([OTHER]))
    assert names(file) == ["two"]


def test_a_byte_order_mark_is_no_part_of_the_first_entry(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + ONE.encode())
    assert [entry.name for entry in TokenFile(path).read()] == ["one"]

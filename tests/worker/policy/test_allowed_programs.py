"""A file lists the programs that may run. It is read again when it has changed, and never forgotten."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from jobqueue.settings import InvalidSetting
from jobqueue.worker.policy.allowed_programs import AllowedPrograms

ONE, TWO, THREE = "1" * 64, "2b" * 32, "c" * 64


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "programs"
    path.write_text(f"{ONE}\n")
    return path


@pytest.mark.parametrize(
    "content",
    [
        f"{ONE}\n{TWO}\n",
        f"{ONE}\r\n{TWO}",
        f"# programs\n\n  {ONE}  # the first\n\t{TWO.upper()}\n#{THREE}\n",
        f"{ONE}  program\n{TWO} *other program\x85\n",
        f"\\{ONE}  odd\\nname\n{TWO}\tname\n",
        f"\ufeff{ONE}\n{TWO}\n",
    ],
)
def test_digests_are_read_as_sha256sum_prints_them(file: Path, content: str) -> None:
    file.write_text(content, newline="")
    allowed = AllowedPrograms(file)
    assert [allowed.include(each) for each in (ONE, TWO, THREE)] == [True, True, False]
    assert len(allowed) == 2


def test_a_name_in_any_encoding_is_ignored(file: Path) -> None:
    file.write_bytes(f"{ONE}  ".encode() + b"\xff\xfe caf\xe9\n")
    assert AllowedPrograms(file).include(ONE)


def test_a_list_of_nothing_but_comments_allows_nothing(file: Path) -> None:
    file.write_text("# nothing for now\n")
    assert not AllowedPrograms(file).include(ONE)


BROKEN = [b"", b"x", ONE[1:].encode(), f"{ONE}0".encode(), f"{ONE},{TWO}".encode(), f"{ONE}\n{TWO[:9]}".encode()]


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_list_is_refused_at_start(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(InvalidSetting, match=rf"^ALLOWED_SHA256_FILE is '{file}', which .*(empty|line [12])\.$"):
        AllowedPrograms(file)


def make_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def make_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def open_to_all(file: Path) -> None:
    file.chmod(0o666)


@pytest.mark.parametrize("change", [Path.unlink, make_pipe, make_directory, open_to_all])
def test_what_is_no_safe_file_is_refused_at_start(file: Path, change: Callable[[Path], None]) -> None:
    change(file)
    with pytest.raises(InvalidSetting, match=f"^ALLOWED_SHA256_FILE is '{file}', which "):
        AllowedPrograms(file)


def test_a_changed_list_counts_at_once(file: Path) -> None:
    allowed = AllowedPrograms(file)
    for digest in (TWO, THREE, ONE, TWO) * 5:  # of one length, and within one tick of the file system's clock
        file.write_text(f"{digest}\n")
        assert [each for each in (ONE, TWO, THREE) if allowed.include(each)] == [digest]


def test_a_list_that_was_not_changed_is_not_read_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(file, (1, 1))
    monkeypatch.setattr("time.time", lambda: file.stat().st_ctime + 10)
    allowed = AllowedPrograms(file)
    monkeypatch.setattr("os.open", None)
    assert allowed.include(ONE)


def test_a_replaced_list_counts_although_its_time_and_size_are_the_same(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(file, (1, 1))
    monkeypatch.setattr("time.time", lambda: file.stat().st_ctime + 10)
    allowed = AllowedPrograms(file)
    assert allowed.include(ONE)
    other = file.with_name("other")
    other.write_text(f"{TWO}\n")
    os.utime(other, (1, 1))
    other.replace(file)
    assert [allowed.include(each) for each in (ONE, TWO)] == [False, True]


def empty(file: Path) -> None:
    file.write_text("")


def break_off(file: Path) -> None:
    file.write_text(f"{TWO}\n{THREE[:20]}")


@pytest.mark.parametrize("change", [Path.unlink, make_pipe, make_directory, open_to_all, empty, break_off])
def test_a_list_that_breaks_keeps_what_it_said_and_is_reported_once(file: Path, change: Callable[[Path], None]) -> None:
    allowed = AllowedPrograms(file)
    change(file)
    with capture_logs() as events:
        assert [allowed.include(each) for each in (ONE, TWO, ONE, TWO)] == [True, False, True, False]
    assert [(each["event"], each["path"]) for each in events] == [("allowed_programs_unreadable", str(file))]


def test_a_list_that_is_mended_counts_again(file: Path) -> None:
    allowed = AllowedPrograms(file)
    file.unlink()
    assert not allowed.include(TWO)
    file.write_text(f"{TWO}\n")
    with capture_logs() as events:
        assert [allowed.include(each) for each in (ONE, TWO)] == [False, True]
    assert events[0] == {
        "event": "allowed_programs_read",
        "log_level": "info",
        "path": str(file),
        "programs": 1,
    }

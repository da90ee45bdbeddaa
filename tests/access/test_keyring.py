"""The keyring: which tokens are valid, and that a mistake in the file does no harm."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, cast

import pytest

from jobqueue import logs
from jobqueue.access.keyring import InvalidTokens, Keyring
from jobqueue.access.scopes import Scope
from jobqueue.access.tokens import digest_of
from tests.support.tokens import entry, line, lines, token

READ = [Scope.READ]


class Clock:
    """A clock by hand."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time, which each call of `pass_time` moves on."""
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with two entries."""
    path = tmp_path / "tokens"
    path.write_text(lines([line("one", Scope.READ), line("two", Scope.SUBMIT)]))
    return path


def valid(keyring: Keyring, *names: str) -> list[str]:
    """Return those of these names whose tokens are valid."""
    return [name for name in names if keyring.find(token(name).encode())]


def of_file(path: Path, clock: Clock | None = None) -> Keyring:
    """Return a keyring of that file that has looked at it."""
    keyring = Keyring([], path, clock or Clock())
    keyring.read_again()
    return keyring


def test_a_token_is_found_by_its_digest() -> None:
    keyring = Keyring.configured([entry("one", Scope.READ)], None)
    found = keyring.find(token("one").encode())
    assert found == entry("one", Scope.READ)
    assert not valid(keyring, "two")
    assert keyring.find(b"") is None
    assert keyring.find(digest_of(token("one").encode())) is None
    assert keyring.find(digest_of(token("one").encode()).hex().encode()) is None


def test_setting_and_file_together_are_valid(path: Path) -> None:
    keyring = Keyring.configured([entry("three", Scope.READ)], path)
    assert valid(keyring, "one", "two", "three") == ["one", "two", "three"]


def test_two_tokens_may_have_one_name() -> None:
    other = entry("one", Scope.READ)
    old = type(other)("one", other.scopes, digest_of(b"old"))
    keyring = Keyring.configured([other, old], None)
    assert keyring.find(b"old") == old
    assert keyring.find(token("one").encode()) == other


def test_only_a_keyring_without_setting_and_file_is_open(path: Path) -> None:
    assert Keyring().is_open
    assert not Keyring.configured([entry("one", Scope.READ)], None).is_open
    keyring = of_file(path)
    path.write_text("# nobody")
    keyring.read_again()
    assert not valid(keyring, "one", "two")
    assert not keyring.is_open


def test_a_removed_token_is_not_valid_a_second_later(path: Path) -> None:
    clock = Clock()
    keyring = of_file(path, clock)
    found = keyring.find(token("one").encode())
    path.write_text(lines([line("two", Scope.SUBMIT)]))
    assert valid(keyring, "one", "two") == ["one", "two"]  # looked at a moment ago
    clock.now += 1.0
    assert valid(keyring, "one", "two") == ["two"]
    assert found is not None
    assert not keyring.still_has(found)


def test_a_token_whose_scopes_changed_is_another_one(path: Path) -> None:
    keyring = of_file(path)
    found = keyring.find(token("one").encode())
    assert found is not None
    assert keyring.still_has(found)
    path.write_text(lines([line("one", Scope.EXECUTE)]))
    keyring.read_again()
    assert not keyring.still_has(found)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What is logged."""
    stream = io.StringIO()
    logs.configure(stream)
    yield stream
    logs.configure(cast("TextIO", sys.__stderr__))


@pytest.mark.parametrize("broken", ["one:read", "\0", None])
def test_a_broken_file_keeps_what_was_valid_and_is_logged_once(
    path: Path, broken: str | None, log: io.StringIO
) -> None:
    clock = Clock()
    keyring = of_file(path, clock)
    log.truncate(0)
    if broken is None:
        path.unlink()
    else:
        path.write_text(broken)
    for _ in range(3):
        clock.now += 1.0
        assert valid(keyring, "one", "two") == ["one", "two"]
    [logged] = log.getvalue().strip("\0").splitlines()
    assert "level=error event=tokens_unreadable" in logged
    assert str(path) in logged
    path.write_text(lines([line("two", Scope.SUBMIT)]))
    clock.now += 1.0
    assert valid(keyring, "one", "two") == ["two"]
    assert "event=tokens_read tokens=1" in log.getvalue()


def test_one_token_with_two_entries_is_refused_at_the_start_and_ignored_later(path: Path) -> None:
    same = type(entry("one", Scope.READ))("other", frozenset(READ), entry("one", Scope.READ).digest)
    with pytest.raises(InvalidTokens, match="one and other"):
        Keyring.configured([entry("one", Scope.READ), same], None)
    keyring = of_file(path)
    path.write_text(lines([line("one", Scope.READ), line("one", Scope.ADMIN)]))
    keyring.read_again()
    assert valid(keyring, "one", "two") == ["one", "two"]


@pytest.mark.parametrize("content", [None, "", "# nobody\n", "wrong"])
def test_a_file_without_usable_entries_is_refused_at_the_start(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "tokens"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidTokens, match=str(path)):
        Keyring.configured([], path)


def test_whoever_wants_to_know_is_called_after_a_change_and_not_otherwise(path: Path) -> None:
    keyring, calls = of_file(path), list[int]()
    keyring.on_change = lambda: calls.append(1)
    keyring.read_again()
    assert calls == []
    path.write_text(lines([line("two", Scope.SUBMIT)]))
    keyring.read_again()
    assert calls == [1]

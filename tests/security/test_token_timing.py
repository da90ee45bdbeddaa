"""A token is guessed piece by piece, from how long its refusal takes: that does not depend on what is right."""

from __future__ import annotations

import hmac
import random
import statistics
import time
from collections.abc import Callable, Sequence

import pytest

from jobqueue.access import keyring
from jobqueue.access.keyring import Keyring
from jobqueue.access.scopes import Scope
from jobqueue.access.tokens import digest_of
from tests.support.tokens import entry, token

ROUNDS, CALLS = 400, 50
"""20,000 look-ups of each kind."""

VALID = token("victim").encode()
RIGHT_BUT_FOR_THE_END = VALID[:-1] + b"!"
WRONG_FROM_THE_START = b"!" + VALID[1:]
WRONG_AS_WELL = b"?" + VALID[1:]


def medians(call: Callable[[bytes], object], values: Sequence[bytes]) -> list[float]:
    """Return the median of the nanoseconds that CALLS calls take with each value. They take turns at random."""
    chance = random.Random(13)
    times: dict[bytes, list[int]] = {value: [] for value in values}
    for _ in range(ROUNDS):
        for value in chance.sample(values, len(values)):
            started = time.perf_counter_ns()
            for _ in range(CALLS):
                call(value)
            times[value].append(time.perf_counter_ns() - started)
    return [statistics.median(times[value]) for value in values]


def test_a_refusal_takes_as_long_whatever_is_right_about_a_token() -> None:
    """Two values that are equally wrong differ by what is noise here; ten times that and a tenth of all is allowed."""
    names = [f"token-{number}" for number in range(100)]
    tokens = Keyring.configured([entry(name, Scope.READ) for name in ("victim", *names)], None)
    assert tokens.find(VALID) is not None
    assert {tokens.find(value) for value in (RIGHT_BUT_FOR_THE_END, WRONG_FROM_THE_START, WRONG_AS_WELL)} == {None}
    right, wrong, as_wrong = medians(tokens.find, [RIGHT_BUT_FOR_THE_END, WRONG_FROM_THE_START, WRONG_AS_WELL])
    assert abs(right - wrong) < 10 * abs(wrong - as_wrong) + wrong / 10


class Watched(bytes):
    """A digest that notes whether it was compared with another one, or looked up."""

    used = False

    def __eq__(self, other: object) -> bool:
        self.used = True
        return super().__eq__(other)

    def __hash__(self) -> int:
        self.used = True
        return super().__hash__()


def test_nothing_that_a_client_can_compute_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compared instead is made with a key that nobody outside of the process knows."""
    keys, digest = [], hmac.digest

    def noting_the_key(key: bytes, message: bytes, name: str) -> bytes:
        keys.append(key)
        return digest(key, message, name)

    monkeypatch.setattr(hmac, "digest", noting_the_key)
    found = [Keyring.configured([entry("victim", Scope.READ)], None) for _ in range(2)]
    for value in (VALID, RIGHT_BUT_FOR_THE_END):
        watched = Watched(digest_of(value))
        monkeypatch.setattr(keyring, "digest_of", lambda _, watched=watched: watched)
        assert [each.find(value) is not None for each in found] == [value == VALID] * 2
        assert not watched.used
    assert len(set(keys)) == 2
    assert min(map(len, keys)) >= 32

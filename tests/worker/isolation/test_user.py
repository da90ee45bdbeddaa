from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator

import pytest

from jobqueue.worker.isolation import levels
from jobqueue.worker.isolation import user as user_level
from jobqueue.worker.isolation.base import FIRST_USER
from jobqueue.worker.isolation.levels import ImpossibleIsolation
from tests.support.confined import House, house

FIRST = 1_600_000_000


@pytest.fixture
def owned() -> Iterator[House]:
    with house("user") as built:
        yield built


def test_a_program_is_its_slots_user_and_nobody_elses(owned: House) -> None:
    uid = owned.confined.uid
    found = owned.try_each("os.getresuid()", "os.getresgid()", "os.getgroups()", "os.stat('.').st_uid")
    assert found == [[uid] * 3, [uid] * 3, [], uid]
    assert uid is not None
    assert uid >= FIRST_USER


def test_a_program_cannot_be_somebody_else_again(owned: House) -> None:
    found = owned.try_each("os.setuid(0)", "os.setgroups([0])", "read('/etc/shadow')", "os.chown('.', 0, 0)")
    assert set(found) == {"PermissionError"}


def test_two_slots_are_two_users(owned: House) -> None:
    with house("user") as other:
        assert other.confined.uid != owned.confined.uid
        assert other.try_each("os.getuid()") == [other.confined.uid]
        found = other.try_each(f"os.kill({owned.slot._process.pid}, 0)")
    assert found == ["PermissionError"]


def test_a_user_is_reserved_until_it_is_let_go() -> None:
    first, reservation = user_level.reserve_user(FIRST)
    second, other = user_level.reserve_user(FIRST)
    reservation.close()
    again, third = user_level.reserve_user(FIRST)
    other.close()
    third.close()
    assert (first, second, again) == (FIRST, FIRST + 1, FIRST)


def test_an_account_of_this_host_is_passed_over() -> None:
    known = max(entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid < FIRST)
    user, reservation = user_level.reserve_user(known)
    reservation.close()
    assert user > known


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_user_with_processes_is_passed_over() -> None:
    user = FIRST + 5000
    process = subprocess.Popen(["sleep", "60"], user=user)
    try:
        found, reservation = user_level.reserve_user(user)
        reservation.close()
    finally:
        process.kill()
        process.wait()
    assert found == user + 1


def test_when_all_are_taken_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_level, "USERS_LOOKED_AT", 0)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(ImpossibleIsolation, match="choose another ISOLATION_UID"):
        levels.make("user", (), FIRST).claim()


def test_a_description_before_and_after_the_claim(owned: House) -> None:
    assert owned.confined.describe()["uid"] == owned.confined.uid
    owned.confined.release()
    assert owned.confined.uid is None

"""Level `user`: which user ids are reserved, and what a program of such a user may do."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator

import pytest

from jobqueue.worker.isolation import levels
from jobqueue.worker.isolation import user as user_level
from jobqueue.worker.isolation.levels import FIRST_UID, ImpossibleIsolation
from tests.support.confined import Sandbox, sandbox

FIRST = 1_600_000_000


@pytest.fixture
def owned() -> Iterator[Sandbox]:
    with sandbox("user") as made:
        yield made


def test_a_program_runs_as_the_user_of_its_slot_and_in_no_other_group(owned: Sandbox) -> None:
    uid = owned.isolation.uid
    results = owned.try_each("os.getresuid()", "os.getresgid()", "os.getgroups()", "os.stat('.').st_uid")
    assert results == [[uid] * 3, [uid] * 3, [], uid]
    assert uid is not None
    assert uid >= FIRST_UID


def test_a_program_cannot_become_root_again(owned: Sandbox) -> None:
    results = owned.try_each("os.setuid(0)", "os.setgroups([0])", "read('/etc/shadow')", "os.chown('.', 0, 0)")
    assert set(results) == {"PermissionError"}


def test_two_slots_have_two_users(owned: Sandbox) -> None:
    with sandbox("user") as other:
        assert other.isolation.uid != owned.isolation.uid
        assert other.try_each("os.getuid()") == [other.isolation.uid]
        results = other.try_each(f"os.kill({owned.slot.supervisor_pid}, 0)")
    assert results == ["PermissionError"]


def test_a_user_id_is_reserved_until_it_is_freed() -> None:
    first, reservation = user_level.reserve_user(FIRST)
    second, other = user_level.reserve_user(FIRST)
    reservation.close()
    again, third = user_level.reserve_user(FIRST)
    other.close()
    third.close()
    assert (first, second, again) == (FIRST, FIRST + 1, FIRST)


def test_the_user_id_of_an_account_is_skipped() -> None:
    known = max(entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid < FIRST)
    user, reservation = user_level.reserve_user(known)
    reservation.close()
    assert user > known


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start processes of another user")
def test_a_user_id_with_processes_is_skipped() -> None:
    user = FIRST + 5000
    process = subprocess.Popen(["sleep", "60"], user=user)
    try:
        found, reservation = user_level.reserve_user(user)
        reservation.close()
    finally:
        process.kill()
        process.wait()
    assert found == user + 1


def test_a_host_without_a_free_user_id_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_level, "UIDS_TRIED", 0)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(ImpossibleIsolation, match="choose another ISOLATION_UID"):
        levels.make("user", (), FIRST).reserve()


def test_a_description_names_the_user_id_while_it_is_reserved(owned: Sandbox) -> None:
    assert owned.isolation.describe()["uid"] == owned.isolation.uid
    owned.isolation.free()
    assert owned.isolation.uid is None

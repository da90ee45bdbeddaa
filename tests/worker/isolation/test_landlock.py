from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobqueue.worker.isolation import base, landlock, system_paths
from tests.support.confined import House, house, secret_below

KNOWN = landlock.version()
pytestmark = pytest.mark.skipif(not KNOWN, reason="this kernel has no Landlock that may be used")


@pytest.fixture
def confined() -> Iterator[House]:
    with house("landlock") as built:
        yield built


def test_a_path_that_does_not_exist_is_left_out(tmp_path: Path) -> None:
    os.close(landlock.create_ruleset([(str(tmp_path / "nothing"), landlock.RUN), (str(tmp_path), landlock.OWN)]))


def test_a_rule_about_a_file_is_cut_down_to_what_files_have(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.close(landlock.create_ruleset([(str(tmp_path / "file"), landlock.OWN)]))


def test_no_descriptor_is_left_open_or_inherited(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    ruleset = landlock.create_ruleset([(str(tmp_path), landlock.RUN)])
    assert not os.get_inheritable(ruleset)
    os.close(ruleset)
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("known", [version for version in range(1, 8) if version <= KNOWN])
def test_an_older_kernel_is_asked_for_what_it_knows(
    known: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(landlock, "version", lambda: known)
    os.close(landlock.create_ruleset([(str(tmp_path), landlock.OWN), ("/dev/null", landlock.USE_DEVICE)]))


def test_abstract_sockets_of_others_are_out_of_reach(confined: House) -> None:
    if KNOWN < landlock.SCOPES_VERSION:
        pytest.skip("this kernel's Landlock does not know of sockets")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0jobqueue-test-landlock")
        server.listen()
        assert confined.try_each("connect('\\0jobqueue-test-landlock')") == ["PermissionError"]


def test_the_job_may_signal_its_own(confined: House) -> None:
    program = "#!/bin/sh\nsleep 600 &\nkill -9 $!\nwait $!\necho $?"
    assert confined.run(program).stdout == "137\n"


def test_devices_that_reach_around_files_are_out_of_reach(confined: House) -> None:
    found = confined.try_each(
        *("os.listdir('/dev')", "os.listdir('/dev/shm')", "os.open('/dev/ptmx', os.O_RDWR)", "read('/proc/kcore')"),
        "write('/proc/sys/kernel/hostname')",
    )
    assert set(found) <= {"PermissionError", "FileNotFoundError"}


def test_run_is_closed_but_for_the_lookup_of_names(confined: House) -> None:
    with secret_below(Path("/run")) as secret:
        assert confined.try_each(f"read({str(secret)!r})") == ["PermissionError"]


def test_what_is_hidden_is_gone_around(tmp_path: Path) -> None:
    for name in ("a/b/hidden/x", "a/b/seen", "a/seen", "c"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a/link").symlink_to("b")
    found = list(system_paths.around(str(tmp_path), [str(tmp_path / "a/b/hidden")]))
    assert sorted(found) == [str(tmp_path / name) for name in ("a/b/seen", "a/seen", "c")]


def test_a_ruleset_is_put_away_once() -> None:
    level = base.LandlockIsolation()
    level.finish()
    level.prepare(base.Place("/bin/sh", "/tmp"))
    level.finish()
    level.finish()

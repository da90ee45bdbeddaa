"""The rulesets of level `landlock`, and what they deny."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobqueue.worker.isolation import landlock, system_paths
from jobqueue.worker.isolation.base import Paths
from tests.support.confined import Sandbox, sandbox, secret_below

KNOWN = landlock.version()
pytestmark = pytest.mark.skipif(not KNOWN, reason="this kernel has no usable Landlock")


@pytest.fixture
def sandboxed() -> Iterator[Sandbox]:
    with sandbox("landlock") as made:
        yield made


def test_a_path_that_does_not_exist_is_left_out(tmp_path: Path) -> None:
    os.close(landlock.create_ruleset([(str(tmp_path / "nothing"), landlock.RUN), (str(tmp_path), landlock.OWN)]))


def test_a_rule_about_a_file_is_reduced_to_the_rights_of_files(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.close(landlock.create_ruleset([(str(tmp_path / "file"), landlock.OWN)]))


def test_a_ruleset_leaves_no_descriptor_open_and_is_not_inherited(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    ruleset = landlock.create_ruleset([(str(tmp_path), landlock.RUN)])
    assert not os.get_inheritable(ruleset)
    os.close(ruleset)
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("known", [version for version in range(1, 8) if version <= KNOWN])
def test_a_ruleset_for_an_older_kernel_names_only_rights_it_knows(
    known: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(landlock, "version", lambda: known)
    os.close(landlock.create_ruleset([(str(tmp_path), landlock.OWN), ("/dev/null", landlock.USE_DEVICE)]))


@pytest.mark.parametrize(
    ("known", "path_sockets", "tcp", "udp"),
    [(3, False, False, False), (7, False, True, False), (9, True, True, False), (10, True, True, True)],
)
def test_what_is_denied_grows_with_the_version(known: int, path_sockets: bool, tcp: bool, udp: bool) -> None:
    denied = landlock.deniable(known, "none")
    assert bool(denied.files & landlock.CONNECT_PATH_SOCKET) is path_sockets
    assert (denied.network & landlock.TCP, denied.network & landlock.UDP) == (
        landlock.TCP if tcp else 0,
        landlock.UDP if udp else 0,
    )
    assert landlock.deniable(known) == denied._replace(network=0)


def test_path_sockets_of_name_services_alone_may_be_used_and_only_with_the_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rules: dict[str, int] = {}
    monkeypatch.setattr(system_paths, "NAME_SERVICES", (str(tmp_path),))
    monkeypatch.setattr(landlock, "create_ruleset", lambda made, _: rules.update(made))
    paths = Paths("/bin/sh", str(tmp_path / "work"))
    landlock.LandlockIsolation().prepare(paths)
    assert [path for path, allowed in rules.items() if allowed & landlock.CONNECT_PATH_SOCKET] == [str(tmp_path)]
    rules.clear()
    landlock.LandlockIsolation(network="none").prepare(paths)
    assert str(tmp_path) not in rules
    assert not any(allowed & landlock.CONNECT_PATH_SOCKET for allowed in rules.values())


@pytest.mark.parametrize(("known", "families"), [(8, ()), (9, (socket.AF_UNIX,))])
def test_programs_without_network_have_unix_sockets_where_landlock_separates_them(
    known: int, families: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock, "version", lambda: known)
    level = landlock.LandlockIsolation(network="none")
    assert level.families_without_network == families
    assert level.closed()["path sockets"]
    assert landlock.LandlockIsolation().closed()["path sockets"] is (known == 9)


def test_abstract_sockets_of_others_are_out_of_reach(sandboxed: Sandbox) -> None:
    if KNOWN < landlock.SCOPES_VERSION:
        pytest.skip("this kernel's Landlock does not restrict sockets")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0jobqueue-test-landlock")
        server.listen()
        assert sandboxed.try_each("connect('\\0jobqueue-test-landlock')") == ["PermissionError"]


def test_a_program_may_signal_its_own_processes(sandboxed: Sandbox) -> None:
    program = "#!/bin/sh\nsleep 600 &\nkill -9 $!\nwait $!\necho $?"
    assert sandboxed.run(program).stdout == "137\n"


def test_devices_that_reach_around_files_are_out_of_reach(sandboxed: Sandbox) -> None:
    results = sandboxed.try_each(
        *("os.listdir('/dev')", "os.listdir('/dev/shm')", "os.open('/dev/ptmx', os.O_RDWR)", "read('/proc/kcore')"),
        "write('/proc/sys/kernel/hostname')",
    )
    assert set(results) <= {"PermissionError", "FileNotFoundError"}


def test_the_run_directory_is_closed_except_for_name_look_ups(sandboxed: Sandbox) -> None:
    with secret_below(Path("/run")) as secret:
        assert sandboxed.try_each(f"read({str(secret)!r})") == ["PermissionError"]


def test_the_entries_around_a_hidden_directory_are_listed(tmp_path: Path) -> None:
    for name in ("a/b/hidden/x", "a/b/seen", "a/seen", "c"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a/link").symlink_to("b")
    entries = list(system_paths.around(str(tmp_path), [str(tmp_path / "a/b/hidden")]))
    assert sorted(entries) == [str(tmp_path / name) for name in ("a/b/seen", "a/seen", "c")]


def test_closing_a_ruleset_again_does_nothing() -> None:
    level = landlock.LandlockIsolation()
    level.close_descriptor()
    level.prepare(Paths("/bin/sh", "/tmp"))
    level.close_descriptor()
    level.close_descriptor()

"""The processors that a worker may use are those of the smallest quota of all the control groups that it is in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobqueue.worker.host.processors import usable_processors

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "33 24 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
V1_MEMORY = "34 24 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"


@pytest.fixture(autouse=True)
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with sixteen processors."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(16))


def machine(root: Path, membership: str, mounts: str, **files: str) -> int:
    """Return what is found on a machine with these files; a path's slashes are written as two underscores."""
    contents = {"proc/self/cgroup": membership, "proc/self/mountinfo": mounts}
    contents |= {f"sys/fs/cgroup/{name.replace('__', '/')}": text for name, text in files.items()}
    for name, text in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return usable_processors(root)


def v1(name: str, quota: int, period: int = 100_000) -> dict[str, str]:
    return {f"{name}cpu.cfs_quota_us": f"{quota}\n", f"{name}cpu.cfs_period_us": f"{period}\n"}


def test_without_control_groups_all_processors_are_used(tmp_path: Path) -> None:
    assert usable_processors(tmp_path) == 16


def test_a_quota_of_version_1_counts(tmp_path: Path) -> None:
    assert machine(tmp_path, "4:cpu,cpuacct:/job\n", V1_MEMORY + V1, **v1("cpu,cpuacct__job__", 100_000)) == 1


def test_a_version_1_container_that_sees_only_its_own_group_finds_its_quota(tmp_path: Path) -> None:
    mount = V1.replace(" / /sys", " /docker/abc /sys")
    assert machine(tmp_path, "4:cpu,cpuacct:/docker/abc\n", mount, **v1("cpu,cpuacct__", 250_000)) == 3


def test_no_quota_of_version_1_is_minus_one(tmp_path: Path) -> None:
    assert machine(tmp_path, "4:cpu,cpuacct:/\n", V1, **v1("cpu,cpuacct__", -1)) == 16


@pytest.mark.parametrize("limited", ["", "pod__", "pod__app__", "pod__app__worker__"])
def test_a_quota_of_version_2_counts_at_every_level(tmp_path: Path, limited: str) -> None:
    levels = ("pod__", "pod__app__", "pod__app__worker__")
    files = {f"{level}cpu.max": "max 100000\n" for level in levels} | {f"{limited}cpu.max": "150000 100000\n"}
    assert machine(tmp_path, "0::/pod/app/worker\n", V2, **files) == 2


def test_the_smallest_quota_on_the_path_counts(tmp_path: Path) -> None:
    files = {"pod__cpu.max": "300000 100000\n", "pod__app__cpu.max": "500000 100000\n"}
    assert machine(tmp_path, "0::/pod/app\n", V2, **files) == 3


def test_quotas_of_other_groups_do_not_count(tmp_path: Path) -> None:
    files = {"other__cpu.max": "100000 100000\n", "pod__app__inner__cpu.max": "100000 100000\n"}
    assert machine(tmp_path, "0::/pod/app\n", V2, **files) == 16


def test_a_group_that_is_named_as_the_host_sees_it_leads_to_what_is_mounted(tmp_path: Path) -> None:
    files = {"cpu.max": "200000 100000\n"}
    assert machine(tmp_path, "0::/../../kubepods/abc\n", V2, **files) == 2
    assert machine(tmp_path, "0::/kubepods/abc\n", V2.replace(" / /sys", " /else/where /sys"), **files) == 2


def test_a_machine_with_both_versions_obeys_both(tmp_path: Path) -> None:
    membership = "4:cpu,cpuacct:/job\n0::/job\n"
    unified = V2.replace("/sys/fs/cgroup ", "/sys/fs/cgroup/unified ")
    assert machine(tmp_path, membership, V1 + unified, **v1("cpu,cpuacct__job__", 500_000)) == 5


def test_a_mount_point_with_a_blank_is_found(tmp_path: Path) -> None:
    mount = V2.replace("/sys/fs/cgroup ", r"/sys/fs/cgroup/my\040groups ")
    assert machine(tmp_path, "0::/\n", mount, **{"my groups__cpu.max": "100000 100000\n"}) == 1


@pytest.mark.parametrize("text", ["", "max", "nonsense 100000\n", "100000 0\n", "0 100000\n", "max 100000\n"])
def test_a_quota_that_cannot_be_read_limits_nothing_and_one_of_nothing_leaves_one(tmp_path: Path, text: str) -> None:
    assert machine(tmp_path, "0::/\n", V2, **{"cpu.max": text}) in (16, 1)


@pytest.mark.parametrize("text", ["", "nonsense", "0:", "30 23 - \n", " - cgroup2", "1 2 3 4 5 - cgroup x y\n"])
def test_files_of_the_system_that_look_odd_limit_nothing(tmp_path: Path, text: str) -> None:
    assert machine(tmp_path, text, text) == 16
    assert machine(tmp_path, "0::/\n", text) == 16
    assert machine(tmp_path, text, V2) == 16

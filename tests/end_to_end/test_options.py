"""A worker can be started for one job, for so many, for what there is, and to be told what is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.deployment import PATH, ROOT, Deployment
from tests.support.programs import SHELL


def run(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run worker.py to its end."""
    command = [sys.executable, "worker.py", *options]
    environment = {"PATH": PATH, **variables}
    return subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


def own(folder: Path) -> dict[str, str]:
    """Directories of this test's own."""
    return {"CACHE_DIR": str(folder / "cache"), "SPOOL_DIR": str(folder / "spool"), "TMPDIR": str(folder)}


def test_for_one_job(deployment: Deployment, tmp_path: Path) -> None:
    jobs = [deployment.submit(SHELL) for _ in range(2)]
    assert run("--once", API_URL=deployment.api.url, **own(tmp_path)).returncode == 0
    assert [deployment.jobs.get(job_id)["status"] for job_id in jobs] == ["completed", "pending"]


def test_for_so_many_jobs(deployment: Deployment, tmp_path: Path) -> None:
    jobs = [deployment.submit(SHELL) for _ in range(5)]
    assert run("--max-jobs", "3", API_URL=deployment.api.url, **own(tmp_path)).returncode == 0
    assert [deployment.jobs.get(job_id)["status"] for job_id in jobs] == ["completed"] * 3 + ["pending"] * 2


def test_for_all_that_wait(deployment: Deployment, tmp_path: Path) -> None:
    jobs = [deployment.submit(SHELL + "exit 1") for _ in range(5)]
    assert run("--burst", API_URL=deployment.api.url, **own(tmp_path)).returncode == 0
    assert [deployment.jobs.get(job_id)["status"] for job_id in jobs] == ["failed"] * 5


def test_a_check_of_a_good_host_finds_nothing_wrong_and_claims_nothing(deployment: Deployment, tmp_path: Path) -> None:
    job_id = deployment.submit(SHELL)
    told = run("--check", API_URL=deployment.api.url, **own(tmp_path))
    assert told.returncode == 0, told.stdout + told.stderr
    assert "WRONG" not in told.stdout
    for subject in ("API_URL", "CACHE_DIR", "SPOOL_DIR", "TMPDIR", "slots", "isolation landlock", "isolation bwrap"):
        assert f" {subject}: " in told.stdout
    assert deployment.jobs.get(job_id)["status"] == "pending"
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith("jobqueue")} == set()


def test_a_check_names_each_thing_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    wrong = {"API_URL": "http://127.0.0.1:1/api/v1", **own(tmp_path), "CACHE_DIR": str(tmp_path / "file"), "SLOT": "3"}
    told = run("--check", **wrong)
    assert told.returncode == 1
    assert [line.split()[1].rstrip(":") for line in told.stdout.splitlines() if line.startswith("WRONG")] == [
        "SLOT",
        "API_URL",
        "CACHE_DIR",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLOTS", "0"),
        ("SLOTS", "many"),
        ("ISOLATION", "vm"),
        ("ON_LEASE_LOSS", "hope"),
        ("KILL_GRACE_SECONDS", "-1"),
        ("CACHE_DIR", "relative"),
        ("CACHE_MAX_BYTES", "5GB"),
        ("ALLOWED_BINARY_HOSTS", "http://host/"),
        ("ENV_PASSTHROUGH", "A=B"),
        ("TMPDIR", "relative"),
    ],
)
def test_a_wrong_setting_ends_it_with_a_sentence(name: str, value: str) -> None:
    told = run(**{name: value})
    assert told.returncode == 1
    assert told.stderr.startswith(f"{name} is {value!r}, but must be ")
    assert len(told.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "options", [["--max-jobs", "0"], ["--max-jobs", "x"], ["--once", "--max-jobs", "3"], ["--what"]]
)
def test_a_wrong_option_ends_it_with_how_it_is_used(options: list[str]) -> None:
    told = run(*options)
    assert told.returncode == 2
    assert told.stderr.startswith("usage: worker.py")


def test_a_directory_that_cannot_be_had_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = run(**{**own(tmp_path), "SPOOL_DIR": str(tmp_path / "file" / "spool")})
    assert told.returncode == 1
    assert told.stderr.startswith(f"SPOOL_DIR={tmp_path}/file/spool cannot be used: ")


@pytest.mark.parametrize("name", ["TMPDIR", "SPOOL_DIR"])
def test_a_directory_in_which_nothing_can_be_made_ends_it_with_a_sentence(tmp_path: Path, name: str) -> None:
    """/proc takes nothing, from root either."""
    before = Path("/proc").stat().st_mode
    told = run(**{**own(tmp_path), name: "/proc"})
    assert Path("/proc").stat().st_mode == before
    assert told.returncode == 1
    assert told.stderr.startswith(f"{name}=/proc cannot be used: ")
    assert len(told.stderr.splitlines()) == 1


def test_a_disk_that_takes_nothing_ends_it_with_a_sentence(tmp_path: Path) -> None:
    """As when it is full: no file may grow beyond 0 bytes. What killed workers left is removed first and may help."""
    (tmp_path / "jobqueue-0123456789ab").mkdir()
    command = ["/bin/sh", "-c", 'ulimit -f 0; exec "$@"', "sh", sys.executable, "worker.py"]
    environment = {"PATH": PATH, "PYTHONDONTWRITEBYTECODE": "1", **own(tmp_path)}
    told = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert told.returncode == 1
    assert told.stderr.splitlines()[-1] == f"TMPDIR={tmp_path} cannot be used: file too large."
    assert {path.name for path in tmp_path.iterdir()} == {"cache", "spool"}


def test_more_slots_than_files_may_be_open_for_are_refused(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", 'ulimit -n 64; exec "$@"', "sh", sys.executable, "worker.py"]
    environment = {"PATH": PATH, **own(tmp_path), "SLOTS": "8"}
    told = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert told.returncode == 1
    assert len(told.stderr.splitlines()) == 1
    assert told.stderr.startswith("SLOTS is 8, ")
    assert " 88 " in told.stderr
    assert " 64" in told.stderr

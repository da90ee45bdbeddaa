"""The options of a worker: one job, a number of jobs, all that are pending, and a check of the host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

from jobqueue.redaction import redacted
from tests.support.deployment import Deployment, own_directories, run_worker
from tests.support.fake_server import Reply, serving
from tests.support.paths import PATH, ROOT
from tests.support.programs import SHELL


def test_a_worker_with_once_runs_one_job(deployment: Deployment, tmp_path: Path) -> None:
    jobs = [deployment.submit(SHELL) for _ in range(2)]
    assert run_worker("--once", API_URL=deployment.api.url, **own_directories(tmp_path)).returncode == 0
    assert [deployment.jobs.get(job_id)["status"] for job_id in jobs] == ["completed", "pending"]


def test_a_worker_with_max_jobs_runs_that_many(deployment: Deployment, tmp_path: Path) -> None:
    jobs = [deployment.submit(SHELL) for _ in range(5)]
    assert run_worker("--max-jobs", "3", API_URL=deployment.api.url, **own_directories(tmp_path)).returncode == 0
    assert [deployment.jobs.get(job_id)["status"] for job_id in jobs] == ["completed"] * 3 + ["pending"] * 2


def test_a_worker_with_burst_runs_all_that_are_pending(deployment: Deployment, tmp_path: Path) -> None:
    jobs = [deployment.submit(SHELL + "exit 1") for _ in range(5)]
    assert run_worker("--burst", API_URL=deployment.api.url, **own_directories(tmp_path)).returncode == 0
    assert [deployment.jobs.get(job_id)["status"] for job_id in jobs] == ["failed"] * 5


def test_a_check_of_a_good_host_finds_nothing_wrong_and_claims_nothing(deployment: Deployment, tmp_path: Path) -> None:
    job_id = deployment.submit(SHELL)
    worker = run_worker("--check", API_URL=deployment.api.url, **own_directories(tmp_path))
    assert worker.returncode == 0, worker.stdout + worker.stderr
    assert "WRONG" not in worker.stdout
    for subject in (
        "API_URL",
        "CACHE_DIR",
        "SPOOL_DIR",
        "TMPDIR",
        "slots",
        "kernel",
        "isolation landlock",
        "isolation bwrap",
    ):
        assert f" {subject}: " in worker.stdout
    possible = re.findall(r"isolation (\w+): possible here; (.*)", worker.stdout)
    assert possible[0] == ("none", "open: files, signals, abstract sockets, path sockets, network, keyrings")
    for level, protection in possible[1:]:
        closed, _, left_open = protection.partition("; open: ")
        assert set(closed.removeprefix("closed: ").split(", ")) >= {"files"}, level
        assert "network" in left_open.split(", ")
    assert deployment.jobs.get(job_id)["status"] == "pending"
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith("jobqueue")} == set()


def test_a_check_says_that_an_api_without_its_redis_answers(tmp_path: Path) -> None:
    with serving(lambda _: Reply(503, b'{"status": "unhealthy", "database": "disconnected"}')) as api:
        worker = run_worker("--check", API_URL=api.url, **own_directories(tmp_path))
    assert worker.returncode == 1
    assert "WRONG API_URL: " in worker.stdout
    assert "cannot use its Redis" in worker.stdout


def test_a_check_names_each_thing_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    wrong = {
        "API_URL": "http://127.0.0.1:1/api/v1",
        **own_directories(tmp_path),
        "CACHE_DIR": str(tmp_path / "file"),
        "SLOT": "3",
        "NETWORK": "none",
    }
    worker = run_worker("--check", **wrong)
    assert worker.returncode == 1
    assert [line.split()[1].rstrip(":") for line in worker.stdout.splitlines() if line.startswith("WRONG")] == [
        "SLOT",
        "API_URL",
        "CACHE_DIR",
        "isolation",
    ]
    assert "WRONG isolation none: NETWORK is 'none', but " in worker.stdout
    assert f"WRONG CACHE_DIR: {tmp_path}/file cannot be used: " in worker.stdout


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_check_whose_reader_ends_early_ends_quietly_with_its_exit_code(tmp_path: Path, unbuffered: str) -> None:
    environment = {
        "PATH": PATH,
        "PYTHONUNBUFFERED": unbuffered,
        **own_directories(tmp_path),
        "API_URL": "http://127.0.0.1:1/api/v1",
    }
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as output:
        command = [sys.executable, "worker.py", "--check"]
        worker = subprocess.run(command, check=False, cwd=ROOT, env=environment, stdout=output, stderr=PIPE, timeout=60)
    assert (worker.returncode, worker.stderr) == (1, b"")


def test_a_check_that_cannot_write_its_lines_ends_with_its_exit_code(tmp_path: Path) -> None:
    environment = {"PATH": PATH, **own_directories(tmp_path), "API_URL": "http://127.0.0.1:1/api/v1"}
    command = [sys.executable, "worker.py", "--check"]
    with Path("/dev/full").open("wb") as full:
        worker = subprocess.run(command, check=False, cwd=ROOT, env=environment, stdout=full, stderr=PIPE, timeout=60)
    assert (worker.returncode, worker.stderr) == (1, b"")


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
def test_a_wrong_setting_ends_the_worker_with_a_sentence(name: str, value: str) -> None:
    worker = run_worker(**{name: value})
    assert worker.returncode == 1
    assert worker.stderr.startswith(f"{name} is {redacted(value)!r}, but must be ")
    assert len(worker.stderr.splitlines()) == 1


@pytest.mark.parametrize("options", [[], ["--check"]])
def test_a_missing_list_of_programs_ends_the_worker_with_a_sentence(tmp_path: Path, options: list[str]) -> None:
    missing = str(tmp_path / "programs")
    worker = run_worker(*options, **own_directories(tmp_path), ALLOWED_SHA256_FILE=missing)
    assert worker.returncode == 1
    said = f"ALLOWED_SHA256_FILE is {missing!r}, which cannot be read: No such file or directory."
    lines = [*worker.stdout.splitlines(), *worker.stderr.splitlines()]
    assert (f"WRONG ALLOWED_SHA256_FILE: {said}" if options else said) in lines


@pytest.mark.parametrize(
    "options", [["--max-jobs", "0"], ["--max-jobs", "x"], ["--once", "--max-jobs", "3"], ["--what"]]
)
def test_a_wrong_option_ends_the_worker_with_its_usage(options: list[str]) -> None:
    worker = run_worker(*options)
    assert worker.returncode == 2
    assert worker.stderr.startswith("usage: worker.py")


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    worker = run_worker(**{**own_directories(tmp_path), "SPOOL_DIR": str(tmp_path / "file" / "spool")})
    assert worker.returncode == 1
    assert worker.stderr.startswith(f"SPOOL_DIR={tmp_path}/file/spool cannot be used: ")


@pytest.mark.parametrize("name", ["TMPDIR", "SPOOL_DIR"])
def test_a_directory_in_which_nothing_can_be_made_ends_the_worker_with_a_sentence(tmp_path: Path, name: str) -> None:
    """Nothing can be made in /proc, not even by root."""
    before = Path("/proc").stat().st_mode
    worker = run_worker(**{**own_directories(tmp_path), name: "/proc"})
    assert Path("/proc").stat().st_mode == before
    assert worker.returncode == 1
    assert worker.stderr.startswith(f"{name}=/proc cannot be used: no directory can be made in it.")
    assert len(worker.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["CACHE_DIR", "SPOOL_DIR"])
def test_a_directory_that_can_never_be_made_is_refused_with_the_one_in_which_it_would_be(
    tmp_path: Path, name: str
) -> None:
    worker = run_worker(**{**own_directories(tmp_path), name: "/proc/x/y"})
    assert worker.returncode == 1
    assert worker.stderr == f"{name}=/proc/x/y cannot be used: no directory can be made in /proc.\n"


def test_a_disk_that_takes_nothing_ends_the_worker_with_a_sentence(tmp_path: Path) -> None:
    """No file may grow beyond 0 bytes, as on a full disk. What killed workers left is removed first, which may help."""
    (tmp_path / "jobqueue-0123456789ab").mkdir()
    command = ["/bin/sh", "-c", 'ulimit -f 0; exec "$@"', "sh", sys.executable, "worker.py"]
    environment = {"PATH": PATH, "PYTHONDONTWRITEBYTECODE": "1", **own_directories(tmp_path)}
    worker = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert worker.returncode == 1
    assert worker.stderr.splitlines()[-1] == f"TMPDIR={tmp_path} cannot be used: file too large."
    assert {path.name for path in tmp_path.iterdir()} == {"cache", "spool"}


def test_more_slots_than_files_may_be_open_for_are_refused(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", 'ulimit -n 64; exec "$@"', "sh", sys.executable, "worker.py"]
    environment = {"PATH": PATH, **own_directories(tmp_path), "SLOTS": "8"}
    worker = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert worker.returncode == 1
    assert len(worker.stderr.splitlines()) == 1
    assert worker.stderr.startswith("SLOTS is 8, ")
    assert " 88 " in worker.stderr
    assert " 64" in worker.stderr

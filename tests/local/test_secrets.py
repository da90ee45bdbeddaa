"""What a job under `make run` cannot read: the launcher's environment, the API's, and the data of the store."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobqueue.client.jobs import Jobs
from jobqueue.client.transport import Transport
from jobqueue.local import variables
from tests.support.fake_server import Reply, serving
from tests.support.launcher import Running, make_directory, running
from tests.support.programs import SHELL
from tests.support.waiting import wait_until

SECRET = "canary-of-the-launcher"
PROGRAM = f"""{SHELL}
for each in /proc/[0-9]*/environ; do echo "$each $(tr '\\0' '\\n' <"$each" | grep -c '{SECRET}\\|redis://:')"; done
cat "$1"/.data/appendonlydir/*.aof
echo end
"""
"""Counts the secrets in the environment of each process, and prints the data of the store."""


@pytest.fixture(scope="module", params=["", "none"], ids=["default", "none"])
def launcher(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = make_directory(tmp_path_factory.mktemp("secrets"))
    with running(directory, {"SECRET": SECRET, "ISOLATION": request.param}) as launcher:
        launcher.log.with_suffix(".level").write_text(request.param or variables.isolation())
        yield launcher


@pytest.fixture(scope="module")
def job(launcher: Running) -> dict[str, str]:
    """A job that has printed what it could read."""
    program = PROGRAM.encode()
    with serving(lambda _: Reply(body=program)) as host, closing(Transport(launcher.api_url)) as transport:
        job_id = Jobs(transport).submit(
            {
                "type": "spy",
                "binary_url": host.url,
                "binary_sha256": hashlib.sha256(program).hexdigest(),
                "arguments": [str(launcher.directory)],
                "priority": "foreground",
            }
        )
        wait_until("the job has ended", lambda: Jobs(transport).get(job_id)["completed_at"] is not None)
        return Jobs(transport).get(job_id)


def test_a_job_reads_no_secret_in_the_environment_of_another_process(launcher: Running, job: dict[str, str]) -> None:
    assert job["stdout"].endswith("end\n")
    found = [line.split()[0] for line in job["stdout"].splitlines() if line.startswith("/proc/") and line[-1] != "0"]
    assert found == []


def test_a_job_cannot_read_the_data_where_the_kernel_can_deny_it(launcher: Running, job: dict[str, str]) -> None:
    sandboxed = launcher.log.with_suffix(".level").read_text() != "none"
    assert ("binary_sha256" in job["stdout"]) is not sandboxed


def test_the_data_is_private_to_the_user(launcher: Running) -> None:
    data = launcher.directory / ".data"
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [data, *data.rglob("*.aof"), *data.rglob("lock")]}
    assert [path for path, mode in modes.items() if mode & 0o077] == []


def test_the_store_wants_a_password_that_no_command_line_shows(launcher: Running) -> None:
    port = int(Path(f"/proc/{launcher.find('valkey-server')}/cmdline").read_text().rpartition(":")[2].split("\0")[0])
    with redis.Redis(port=port, retry=Retry(NoBackoff(), 0)) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    lines = [Path(f"/proc/{pid}/cmdline").read_text() for pid in launcher.processes()]
    assert not any("requirepass" in line or "redis://" in line for line in lines)


def test_each_program_gets_the_variables_that_it_reads_and_no_other() -> None:
    ours = {"PATH": "/bin", "SECRET": "s", "AWS_TOKEN": "t", "SLOTS": "1", "SLOT": "2", "A": "a", "CACHE_DIR": ""}
    ours |= {"MAX_ATTEMPTS": "5", "ENV_PASSTHROUGH": "A", "HTTPS_PROXY": "p", "REDIS_URL": "mine", "ISOLATION": "none"}
    assert variables.of_redis(ours) == {"PATH": "/bin"}
    web = variables.of_web(ours, 80, "redis://h")
    assert {*web} == {"PATH", "MAX_ATTEMPTS", "PORT", "REDIS_URL", "PYTHONUNBUFFERED"}
    assert web["REDIS_URL"] == "redis://h"
    worker = variables.of_worker(ours, "http://h", Path("/data"))
    assert {"SECRET", "AWS_TOKEN", "REDIS_URL", "MAX_ATTEMPTS"}.isdisjoint(worker)
    assert worker.items() >= {"SLOTS": "1", "SLOT": "2", "A": "a", "ISOLATION": "none"}.items()
    assert (worker["HTTPS_PROXY"], worker["CACHE_DIR"]) == ("p", "/data/cache")

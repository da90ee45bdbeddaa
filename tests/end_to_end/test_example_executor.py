"""The executor in `examples/executor.py`, which documents the protocol, against the real API."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.deployment import LEASE_SECONDS, Deployment
from tests.support.paths import ROOT
from tests.support.programs import SHELL
from tests.support.waiting import wait_until


@pytest.fixture
def executor(deployment: Deployment) -> Iterator[subprocess.Popen[bytes]]:
    """The example, with Python's own modules only."""
    command = [sys.executable, "-I", "-S", str(ROOT / "examples/executor.py"), deployment.api.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


@pytest.mark.usefixtures("executor")
class TestExample:
    """Everything that docs/api.md asks of an executor."""

    def test_a_program_gets_its_arguments_and_variables_and_its_result_is_reported(
        self, deployment: Deployment
    ) -> None:
        job_id = deployment.submit(SHELL + 'echo "$1 $KEY"; echo err >&2', "two words", environment={"KEY": "value"})
        job = deployment.wait_for(job_id, "completed")
        assert (job["stdout"], job["stderr"], job["exit_code"]) == ("two words value\n", "err\n", 0)

    @pytest.mark.parametrize(("program", "exit_code"), [(SHELL + "exit 3", 3), (SHELL + "kill -9 $$", 137)])
    def test_a_program_that_fails_is_reported_with_its_exit_code(
        self, deployment: Deployment, program: str, exit_code: int
    ) -> None:
        assert deployment.wait_for(deployment.submit(program), "failed")["exit_code"] == exit_code

    def test_a_program_with_another_hash_is_not_run(self, deployment: Deployment) -> None:
        wrong = deployment.jobs.submit({**deployment.job(SHELL + "echo hello"), "binary_sha256": "ab" * 32})
        job = deployment.wait_for(wrong, "failed")
        assert (job["reason"], job["stdout"]) == ("checksum_mismatch", "")

    def test_what_another_executor_may_be_able_to_run_is_released(self, deployment: Deployment) -> None:
        missing = deployment.jobs.submit({**deployment.job(SHELL), "binary_url": "http://127.0.0.1:1/nobody"})
        wait_until("it is released", lambda: [s for _, s in deployment.attempts(missing)] == ["released"])
        assert deployment.jobs.get(missing)["status"] == "pending"

    def test_a_lease_is_renewed_until_the_program_ends(self, deployment: Deployment) -> None:
        job_id = deployment.submit(SHELL + f"sleep {2 * LEASE_SECONDS}")
        assert len(deployment.wait_for(job_id, "completed")["attempts"]) == 1

    def test_a_program_is_stopped_after_its_time_limit_and_after_a_cancel(self, deployment: Deployment) -> None:
        late = deployment.jobs.submit({**deployment.job(SHELL + "sleep 60"), "timeout_seconds": 0.5})
        assert deployment.wait_for(late, "failed")["reason"] == "timeout"
        unwanted = deployment.submit(SHELL + "sleep 60")
        wait_until("it runs", lambda: deployment.jobs.get(unwanted)["status"] == "running")
        assert deployment.api.call("DELETE", f"/jobs/{unwanted}?force=true").status_code == 202
        assert deployment.wait_for(unwanted, "cancelled")["reason"] == "cancelled"

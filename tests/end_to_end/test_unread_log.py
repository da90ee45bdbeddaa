"""Standard error is a full pipe that nobody reads: worker and API go on, and who reads it later finds whole lines."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import requests

from tests.support.deployment import Deployment, own_directories
from tests.support.programs import EXIT_WITH
from tests.support.serving import GUNICORN, Server, environment
from tests.support.unread import unread
from tests.support.waiting import wait_until

EVENT = re.compile(r"timestamp=\S+ level=\w+ event=\w+( \w+=(\"(\\.|[^\"\\])*\"|[^ \"=]*))*")


def test_a_worker_finishes_its_jobs_and_hears_sigterm(deployment: Deployment, tmp_path: Path) -> None:
    jobs = [deployment.submit(EXIT_WITH, 0) for _ in range(50)]
    variables = {"API_URL": deployment.api.url, "SLOTS": "2", "EXECUTOR_ID": "x" * 100, **own_directories(tmp_path)}
    with unread(["worker.py"], variables) as worker:
        for job_id in jobs:
            deployment.wait_for(job_id, "completed")
        worker.process.send_signal(signal.SIGTERM)
        lines = worker.read_to_the_end()
        assert worker.process.wait(30) == 0
    assert [line for line in lines if not EVENT.fullmatch(line)] == []
    assert {job_id for job_id in jobs if sum(f"job_id={job_id}" in line for line in lines) == 4} == {*jobs}
    assert "event=worker_stopped" in lines[-1]


def test_an_api_answers_and_hears_sigterm(server_url: str, tmp_path: Path) -> None:
    server = Server(tmp_path, {})
    variables = environment(tmp_path, PORT=str(server.port), REDIS_URL=server_url)
    body = {"type": "x" * 100, "binary_url": "http://h/", "binary_sha256": "ab" * 32, "priority": "foreground"}
    with unread(GUNICORN, variables) as api, requests.Session() as session:
        wait_until("the API answers", server.is_up)
        for _ in range(200):
            assert session.post(f"{server.url}/jobs", json=body, timeout=20).status_code == 201
        assert session.get(f"{server.url}/health", timeout=20).status_code == 200
        session.close()
        api.process.send_signal(signal.SIGTERM)
        lines = api.read_to_the_end()
        assert api.process.wait(30) == 0
    assert [line for line in lines if not EVENT.fullmatch(line)] == []
    assert sum("event=submit" in line for line in lines) == 200
    assert any("event=gunicorn" in line and "Listening at" in line for line in lines)

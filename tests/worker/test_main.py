"""The worker's entry point: what it says when it ends, and its exit code."""

from __future__ import annotations

import pytest

from jobqueue.worker import lifecycle, main


def test_a_worker_that_gives_up_on_the_api_says_so_and_asks_for_another_try(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: object) -> None:
        raise lifecycle.GaveUp

    monkeypatch.setattr(lifecycle, "run", run)
    monkeypatch.setattr("jobqueue.worker.shutdown.Shutdown.listen", lambda _: None)
    monkeypatch.setattr("jobqueue.logs.configure", lambda _: None)
    monkeypatch.setattr("sys.argv", ["worker.py", "--burst"])
    monkeypatch.setenv("API_URL", "http://user:canary@host/api/v1")
    assert main.main() == 75
    assert capsys.readouterr().err == "The API at http://host/api/v1 has not answered for a minute.\n"

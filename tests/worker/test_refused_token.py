"""A worker process whose token is revoked while a job runs, and replaced later."""

from __future__ import annotations

from pathlib import Path

from tests.support.deployment import own_directories
from tests.support.fake_api import UNKNOWN_TOKEN, FakeApi
from tests.support.fake_server import Reply, Request
from tests.support.programs import SHELL
from tests.support.service import Service
from tests.support.waiting import wait_until

OLD, NEW = "canary-old", "canary-new"


def test_a_worker_whose_token_is_revoked_loses_nothing_and_goes_on_with_the_next_one(
    api: FakeApi, tmp_path: Path
) -> None:
    token, accepted, refused = tmp_path / "token", {OLD}, list[str]()
    token.write_text(OLD)

    def answer(request: Request) -> Reply:
        if request.path.endswith("/program") or request.headers["Authorization"].removeprefix("Bearer ") in accepted:
            return api.answer(request)
        refused.append(request.path)
        return UNKNOWN_TOKEN

    api.server.answer = answer
    go = tmp_path / "go"
    api.offer(SHELL + 'until [ -e "$1" ]; do sleep 0.02; done; echo done', go, lease_ms=3000)
    settings = {"API_URL": api.url, "API_TOKEN_FILE": str(token), "SLOTS": "2", **own_directories(tmp_path)}
    worker = Service.start(["worker.py"], tmp_path, "worker", settings)
    try:
        wait_until("the job runs", lambda: worker.logged("event=start"))
        accepted.clear()
        wait_until("the worker says so", lambda: worker.logged("event=token_refused"))
        go.touch()
        wait_until("the result is refused", lambda: any("finish" in path or "complete" in path for path in refused))
        api.offer(SHELL + "echo second")
        accepted.add(NEW)
        new = tmp_path / "new"
        new.write_text(NEW)
        new.rename(token)
        wait_until("both are reported", lambda: len(api.reports()) == 2)
        wait_until("the worker says so", lambda: worker.logged("event=token_accepted"))
        assert worker.process.poll() is None
    finally:
        worker.kill_whole()
    assert sorted(body["stdout"] for _, body in api.reports()) == ["done\n", "second\n"]
    log = worker.log.read_text()
    assert log.count("event=token_refused") == 1
    assert not [event for event in ("host_fault", "worker_paused", "lease_lost", "canary", "crash") if event in log]

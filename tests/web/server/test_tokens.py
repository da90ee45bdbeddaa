"""Tokens under the real server: what changes in the file holds in every process, and no request is lost."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest
import requests

from jobqueue.access.scopes import Scope
from tests.support.paths import ROOT
from tests.support.serving import Server, at_once, environment, gunicorn, running_api
from tests.support.tokens import bearer, line, lines
from tests.support.waiting import wait_until
from tests.support.web import JOB

OPERATOR, WORKER, STRANGER = line("operator", Scope.ADMIN), line("worker", Scope.EXECUTE), line("other", Scope.EXECUTE)
READER = line("reader", Scope.READ)


@dataclass
class Guarded:
    """A server, and the file with its tokens."""

    server: Server
    path: Path

    def allow(self, *entries: str) -> None:
        """Let the file have these entries from now on."""
        new = self.path.with_suffix(".new")
        new.write_text(lines(entries))
        new.rename(self.path)

    def status(self, name: str, method: str = "GET", path: str = "/jobs/no-id") -> int:
        """Return what a request with the token of that name is answered."""
        return self.server.call(method, path, headers=bearer(name)).status_code

    def knows(self, name: str) -> bool:
        """Whether every process takes a token: of many connections, each gets some."""
        return 401 not in at_once([lambda: self.status(name)] * 8)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Guarded]:
    """A running server with a file of tokens."""
    folder = tmp_path_factory.mktemp("guarded")
    path = folder / "tokens"
    path.write_text(lines([OPERATOR, WORKER]))
    with running_api(folder, REDIS_URL=server_url, API_TOKENS_FILE=str(path)) as server:
        yield Guarded(server, path)


@pytest.fixture
def guarded(standing: Guarded) -> Guarded:
    """The running server, with the tokens `operator` and `worker`."""
    standing.allow(OPERATOR, WORKER)
    wait_until("the tokens are valid", lambda: standing.knows("worker") and not standing.knows("other"))
    return standing


def test_a_removed_token_ends_its_claims_that_wait_and_no_others(guarded: Guarded) -> None:
    guarded.allow(OPERATOR, WORKER, STRANGER)
    wait_until("the token is valid", lambda: guarded.knows("other"))

    def claim(name: str, number: int) -> requests.Response:
        body = {"executor_id": f"{name}-{number}", "wait_seconds": 20, "types": ["waited-for"]}
        return guarded.server.call("POST", "/jobs/claim", body, headers=bearer(name))

    with ThreadPoolExecutor(8) as pool:
        staying = pool.submit(claim, "worker", 0)
        removed = [pool.submit(claim, "other", number) for number in range(6)]
        guarded.status("operator")
        guarded.allow(OPERATOR, WORKER)
        assert {claimed.result().status_code for claimed in removed} == {401}
        assert not staying.done()
        guarded.server.call("POST", "/jobs", {**JOB, "type": "waited-for"}, headers=bearer("operator"))
        assert staying.result().status_code == 200


def test_sighup_loses_no_request_and_a_broken_file_changes_nothing(guarded: Guarded) -> None:
    before, stop = set(guarded.server.processes()), Event()

    def ask(headers: dict[str, str]) -> set[int]:
        found = set()
        with requests.Session() as session:
            session.trust_env = False
            while not stop.is_set():
                answer = session.get(f"{guarded.server.url}/jobs?limit=1", headers=headers, timeout=15)
                found.add(answer.status_code)
        return found

    guarded.path.write_text("broken")
    kept, new = bearer("operator"), bearer("operator") | {"Connection": "close"}
    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask, headers) for headers in (kept, new, new, new)]
        try:
            guarded.server.process.send_signal(signal.SIGHUP)
            wait_until("both processes are replaced", lambda: not before & set(guarded.server.processes()))
        finally:
            stop.set()
        assert [each.result() for each in asking] == [{200}] * 4
    assert guarded.knows("worker")
    assert "event=tokens_unreadable" in guarded.server.log


def test_sighup_ends_at_once_what_a_removed_token_waits_for(guarded: Guarded) -> None:
    guarded.allow(OPERATOR, WORKER, READER)
    wait_until("the token is valid", lambda: guarded.knows("reader"))
    job = guarded.server.call("POST", "/jobs", JOB, headers=bearer("operator")).json()

    def read() -> int:
        return guarded.status("reader", path=f"/jobs/{job['id']}?wait_seconds=20")

    with ThreadPoolExecutor(8) as pool:
        reading = [pool.submit(read) for _ in range(8)]
        guarded.status("operator")
        guarded.allow(OPERATOR, WORKER)
        guarded.server.process.send_signal(signal.SIGHUP)
        assert {each.result() for each in reading} == {401}


def test_a_removed_token_stays_removed_when_processes_start_while_the_file_is_broken(guarded: Guarded) -> None:
    def noticed() -> int:
        return guarded.server.log.count("event=tokens_read tokens=1")

    before, times = set(guarded.server.processes()), noticed()
    guarded.allow(OPERATOR)
    wait_until("both processes and their master have noticed", lambda: noticed() >= times + 3)
    guarded.path.write_text("broken")
    guarded.server.process.send_signal(signal.SIGHUP)
    wait_until("both processes are replaced", lambda: not before & set(guarded.server.processes()))
    assert {*at_once([lambda: guarded.status("worker")] * 8)} == {401}
    assert guarded.knows("operator")


def test_a_process_that_replaces_a_killed_one_knows_the_tokens_though_the_file_is_gone(guarded: Guarded) -> None:
    guarded.path.unlink()
    [killed, *_] = guarded.server.processes()
    os.kill(killed, signal.SIGKILL)
    wait_until(
        "it is replaced", lambda: killed not in guarded.server.processes() and len(guarded.server.processes()) == 2
    )
    wait_until("the tokens are valid", lambda: guarded.knows("worker"))


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"REQUIRE_AUTH": "1"}, "REQUIRE_AUTH"),
        ({"API_TOKENS_FILE": "/nowhere/tokens"}, "/nowhere/tokens"),
    ],
)
def test_a_server_does_not_start_without_the_tokens_that_it_should_have(
    tmp_path: Path, variables: dict[str, str], said: str
) -> None:
    given = environment(tmp_path, **variables)
    ran = subprocess.run(gunicorn(), cwd=ROOT, env=given, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode != 0
    [sentence] = ran.stderr.splitlines()
    assert said in sentence


def test_an_open_server_says_once_that_it_is_open(served: Server, guarded: Guarded) -> None:
    [warning] = [line for line in served.log.splitlines() if "event=api_is_open" in line]
    assert "level=warning" in warning
    assert f":{served.port}" in warning
    assert "api_is_open" not in guarded.server.log

"""A worker and a submitter with tokens, and the real API: tokens are replaced while a job runs, and revoked."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jobqueue.access.entries import entry_for
from jobqueue.access.scopes import Scope
from jobqueue.access.tokens import new_token
from jobqueue.client.jobs import Jobs
from jobqueue.client.token import Token
from jobqueue.client.transport import Transport
from tests.support.deployment import Deployment, deployed, own_directories, run_worker, running_host
from tests.support.programs import SHELL
from tests.support.serving import standing_api
from tests.support.waiting import wait_until

SUBMITTER, FIRST, SECOND = new_token("submitter"), new_token("pool"), new_token("pool")


@dataclass
class Tokens:
    """The server's file of entries, and the worker's file with its token."""

    folder: Path
    entries: Path = field(init=False)
    of_worker: Path = field(init=False)

    def __post_init__(self) -> None:
        self.entries, self.of_worker = self.folder / "entries", self.folder / "token"
        self.accept(FIRST)
        self.give(FIRST)

    def accept(self, *of_workers: str) -> None:
        """Let the server accept these tokens of workers and no other."""
        lines = [entry_for("submitter", [Scope.SUBMIT], SUBMITTER)]
        lines += [entry_for("pool", [Scope.EXECUTE], token) for token in of_workers]
        self._replace(self.entries, "\n".join(lines))

    def give(self, token: str) -> None:
        """Give the worker another token."""
        self._replace(self.of_worker, token)

    def _replace(self, path: Path, content: str) -> None:
        new = path.with_suffix(".new")
        new.write_text(f"{content}\n")
        new.rename(path)


@contextmanager
def deployment() -> Iterator[tuple[Deployment, Tokens]]:
    with tempfile.TemporaryDirectory(prefix="jq-") as name, running_host() as (host, programs):
        tokens = Tokens(Path(name))
        with (
            standing_api(API_TOKENS_FILE=str(tokens.entries), WEB_CONCURRENCY="1") as api,
            deployed(api, host, programs, Path(name) / "deployed") as everything,
            closing(Transport(api.url, token=Token(SUBMITTER))) as transport,
        ):
            everything.jobs = Jobs(transport)
            yield everything, tokens


def test_a_workers_token_is_replaced_while_a_job_runs_and_revoked() -> None:
    with deployment() as (everything, tokens):
        go = tokens.folder / "go"
        worker = everything.worker(API_TOKEN_FILE=str(tokens.of_worker), SLOTS="2")

        def times(event: str) -> int:
            return worker.log.read_text().count(f"event={event}")

        running = everything.submit(SHELL + 'until [ -e "$1" ]; do sleep 0.02; done; echo done', go)
        everything.wait_for(running, "running")
        tokens.accept(SECOND)
        wait_until("the first token is refused", lambda: times("token_refused") == 1)
        tokens.give(SECOND)
        wait_until("the second is accepted", lambda: times("token_accepted") == 1)
        go.touch()
        ended = everything.wait_for(running, "completed", "failed")
        assert (ended["stdout"], everything.attempts(running)) == ("done\n", [("worker", "completed")])
        tokens.accept()
        wait_until("it is revoked", lambda: times("token_refused") == 2)
        waiting = everything.submit(SHELL + "echo later")
        settings = {"API_URL": everything.api.url, **own_directories(tokens.folder)}
        checked = run_worker("--check", API_TOKEN_FILE=str(tokens.of_worker), **settings)
        assert (checked.returncode, "WRONG API_TOKEN: 401" in checked.stdout) == (1, True), checked.stdout
        assert everything.jobs.get(waiting)["status"] == "pending"
        tokens.accept(SECOND)
        assert everything.wait_for(waiting, "completed")["stdout"] == "later\n"
        log = worker.log.read_text() + everything.api.log + checked.stdout
        secrets = [token for token in (SUBMITTER, FIRST, SECOND) if token.split("_")[2] in log]
        assert (secrets, times("lease_lost"), times("host_fault"), times("crash")) == ([], 0, 0, 0)

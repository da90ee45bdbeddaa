"""A disk that takes nothing, or loses what it had, costs no report that can still be sent and holds up none."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import IO

import pytest
from structlog.testing import capture_logs

from jobqueue.client.claims import Claims
from jobqueue.worker.attempts import spool as room
from jobqueue.worker.attempts.spool import Spool
from tests.support.fake_server import FakeServer, serving
from tests.support.waiting import wait_until
from tests.worker.attempts.test_spool import AWAY, BODY, YES, Answered, connected, in_memory, is_sent


@dataclass(frozen=True)
class Bench:
    """A spool, the API that it sends to, and a slot's connection to that."""

    spool: Spool
    api: FakeServer
    claims: Claims

    def send(self, job_id: str, body: IO[bytes], on_answered: Callable[[], None]) -> None:
        self.spool.send(self.claims, job_id, "complete", body, on_answered)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """The API is away."""
    monkeypatch.setattr(room, "backoff", lambda *_: repeat(0.01))
    with serving(lambda _: AWAY) as api, closing(connected(api)) as claims:
        spool = Spool(tmp_path, api.url, lambda: connected(api))
        spool.start()
        yield Bench(spool, api, claims)
        spool.close(0)


@contextmanager
def without_room(spool: Spool) -> Iterator[None]:
    """Let the disk take the beginning of a report only."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(BODY) // 2, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def without_rights(spool: Spool) -> Iterator[None]:
    (directory,) = spool.path.iterdir()
    directory.chmod(0o500)
    if os.geteuid() == 0:
        os.chown(directory, 0, 0)
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
    else:
        yield
    directory.chmod(0o700)


@pytest.mark.parametrize("disk", [without_room, without_rights])
def test_a_report_that_the_disk_does_not_take_is_kept_in_memory(
    bench: Bench, disk: Callable[[Spool], AbstractContextManager[None]]
) -> None:
    answered, body = Answered(), in_memory()
    with capture_logs() as logs, disk(bench.spool):
        bench.send("job-1", body, answered)
    assert [log["event"] for log in logs] == ["spool_failed"]
    assert list(bench.spool.path.glob("*/job-1*")) == []
    assert (answered.told, bench.spool.wait_until_sent(0)) == (0, False)
    bench.api.answer = lambda _: YES
    is_sent(bench.spool)
    assert {request.body for request in bench.api.requests} == {BODY}
    assert (answered.told, body.closed) == (1, True)


@pytest.mark.parametrize("disk", [without_room, without_rights])
def test_a_report_that_the_disk_does_not_take_is_sent_at_once_all_the_same(
    bench: Bench, disk: Callable[[Spool], AbstractContextManager[None]]
) -> None:
    answered, body = Answered(), in_memory()
    bench.api.answer = lambda _: YES
    with capture_logs(), disk(bench.spool):
        bench.send("job-1", body, answered)
    assert (len(bench.api.requests), answered.told, body.closed) == (1, 1, True)


def test_a_waiting_report_that_somebody_removed_is_given_up_and_holds_up_no_other(bench: Bench) -> None:
    answered, other = Answered(), Answered()
    bench.send("job-1", in_memory(), answered)
    bench.send("job-2", in_memory(), other)
    for path in bench.spool.path.glob("*/job-1.*"):
        path.unlink()
    wait_until("it is given up", lambda: answered.told == 1)
    bench.api.answer = lambda _: YES
    is_sent(bench.spool)
    assert other.told == 1


def test_a_directory_that_a_job_has_removed_is_made_again(bench: Bench, tmp_path: Path) -> None:
    """With the one above it, if need be."""
    shutil.rmtree(tmp_path)
    with capture_logs() as logs:
        bench.send("job-1", in_memory(), lambda: None)
    assert "spool_gone" in [log["event"] for log in logs]
    (report,) = tmp_path.glob("*/*.json")
    assert report.read_bytes() == BODY

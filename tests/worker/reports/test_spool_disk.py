"""A disk that takes nothing, or loses what it had, costs no report that can still be sent and holds up none."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.support.fake_server import FakeServer, serving
from tests.support.spooling import (
    ACCEPTED,
    BODY,
    UNAVAILABLE,
    Answered,
    Spooling,
    in_memory,
)
from tests.support.waiting import wait_until


@pytest.fixture
def api() -> Iterator[FakeServer]:
    """Is away until a test says otherwise."""
    with serving(lambda _: UNAVAILABLE) as api:
        yield api


@contextmanager
def without_room(_: Path) -> Iterator[None]:
    """Let the disk take the beginning of a report only."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(BODY) // 2, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def without_rights(parent: Path) -> Iterator[None]:
    (directory,) = parent.iterdir()
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
    reports: Spooling, api: FakeServer, disk: Callable[[Path], AbstractContextManager[None]]
) -> None:
    answered, body = Answered(), in_memory()
    with capture_logs() as logs, disk(reports.parent):
        reports.send(body=body, on_done=answered)
    assert [log["event"] for log in logs] == ["spool_failed"]
    assert list(reports.parent.glob("*/job-1*")) == []
    assert (answered.times, reports.delivery.wait_until_sent(0)) == (0, False)
    api.answer = lambda _: ACCEPTED
    reports.wait_until_sent()
    assert {request.body for request in api.requests} == {BODY}
    assert (answered.times, body.closed) == (1, True)


@pytest.mark.parametrize("disk", [without_room, without_rights])
def test_a_report_that_the_disk_does_not_take_is_sent_at_once_all_the_same(
    reports: Spooling, api: FakeServer, disk: Callable[[Path], AbstractContextManager[None]]
) -> None:
    answered, body = Answered(), in_memory()
    api.answer = lambda _: ACCEPTED
    with capture_logs(), disk(reports.parent):
        reports.send(body=body, on_done=answered)
        reports.wait_until_sent()
    assert (len(api.requests), answered.times, body.closed) == (1, 1, True)


def test_a_waiting_report_whose_file_was_removed_is_given_up_and_holds_up_no_other(
    reports: Spooling, api: FakeServer
) -> None:
    answered, other = Answered(), Answered()
    reports.send("job-1", on_done=answered)
    reports.send("job-2", on_done=other)
    for path in reports.parent.glob("*/job-1.*"):
        path.unlink()
    wait_until("the report is given up", lambda: answered.times == 1)
    api.answer = lambda _: ACCEPTED
    reports.wait_until_sent()
    assert other.times == 1


def test_a_spool_directory_that_a_job_has_removed_is_made_again(reports: Spooling, tmp_path: Path) -> None:
    """The directory above it, too."""
    shutil.rmtree(tmp_path)
    with capture_logs() as logs:
        reports.send()
    assert "spool_gone" in [log["event"] for log in logs]
    (report,) = tmp_path.glob("*/*.json")
    assert report.read_bytes() == BODY

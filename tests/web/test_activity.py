"""`GET /admin/activity`: who did what, newest first; nobody can flood it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog

from jobqueue.access.scopes import Scope
from jobqueue.errors import StoreUnavailable
from jobqueue.queue.records.activity import Who
from jobqueue.web.access.policy import Access
from jobqueue.web.access.refusals import LONGEST_SECONDS, SHORTEST_SECONDS, Refusals
from tests.support.bench import Bench
from tests.support.tokens import NOT_CONFIGURED, bearer, one_for_each_scope
from tests.support.web import JOB, START, Api

SUBMITTER = {"headers": bearer(Scope.SUBMIT), "environ_base": {"REMOTE_ADDR": "10.0.0.7"}}


@pytest.fixture
def guarded(real_bench: Bench) -> Api:
    """The app with a token for each scope."""
    return Api(real_bench, Access(one_for_each_scope()))


def activity(api: Api) -> Any:
    response = api.call("GET", "/admin/activity", headers=bearer(Scope.ADMIN))
    assert response.status_code == 200
    return response.get_json()


def test_cancels_are_listed_with_the_name_of_the_token_and_the_address(guarded: Api) -> None:
    pending, other, running = guarded.bench.submit(3)
    guarded.bench.commands.cancel_many([other])
    guarded.bench.claims.claim("worker-1", None)
    guarded.call("DELETE", f"/jobs/{pending}?force=true", **SUBMITTER)
    guarded.call("POST", "/jobs/bulk/cancel", {"job_ids": [running, running]}, **SUBMITTER)
    who = {"at": START, "token": "submit", "address": "10.0.0.7"}
    listed = activity(guarded)
    assert listed[1:] == [
        {**who, "action": "cancel_running", "target": pending, "count": 1},
        {"at": START, "token": None, "address": None, "action": "cancel", "target": other, "count": 1},
    ]
    assert listed[0] == {**who, "action": "cancel", "target": None, "count": 1}


def test_the_log_names_who_has_submitted_a_job(guarded: Api) -> None:
    with structlog.testing.capture_logs() as logged:
        guarded.call("POST", "/jobs", JOB, **SUBMITTER)
        guarded.call("POST", "/jobs/bulk", [JOB, JOB], **SUBMITTER)
    assert [(line["token"], line["address"]) for line in logged if line["event"] == "submit"] == [
        ("submit", "10.0.0.7")
    ] * 2


def test_the_links_lead_through_all_entries_once(api: Api) -> None:
    for number in range(5):
        api.bench.commands.record(Who(), f"action-{number}")
    path, seen = "/admin/activity?limit=2", []
    while path:
        response = api.call("GET", path)
        assert response.headers["X-Total-Count"] == "5"
        seen += [entry["action"] for entry in response.get_json()]
        link = response.headers.get("Link")
        path = f"/admin/activity?{urlsplit(link.partition('>')[0].lstrip('<')).query}" if link else ""
    assert seen == [f"action-{number}" for number in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize(("name", "values"), [("limit", ["0", "1001", "x"]), ("cursor", ["-1", "x", "9" * 16])])
def test_a_bad_page_of_activity_is_refused_by_name(api: Api, name: str, values: list[str]) -> None:
    for value in values:
        response = api.call("GET", f"/admin/activity?{name}={value}")
        assert (response.status_code, list(response.get_json()["context"])) == (400, [name])


def test_requests_without_a_valid_token_are_summed_up(guarded: Api) -> None:
    for number in range(100):
        address = {"REMOTE_ADDR": f"10.0.0.{number % 5}"}
        assert guarded.call("GET", "/jobs", headers=bearer(NOT_CONFIGURED), environ_base=address).status_code == 401
    refusals = guarded.app.extensions["jobqueue"].refusals
    assert activity(guarded) == []  # a request costs Redis nothing
    refusals.write_due()
    refusals.write_due()
    entries = {entry["address"]: entry for entry in activity(guarded)}
    assert {address: entry["count"] for address, entry in entries.items()} == {
        "10.0.0.0": 20,
        "10.0.0.1": 20,
        "10.0.0.2": 20,
        None: 40,
    }
    assert {entry["action"] for entry in entries.values()} == {"refused_sign_in"}
    assert {entry["token"] for entry in entries.values()} == {None}  # whatever a stranger's token says


def test_a_flood_of_refused_requests_writes_less_and_less() -> None:
    written: list[tuple[str, int]] = []
    now = 1000.0
    refusals = Refusals(lambda who, _, count: written.append((who.address, count)), lambda: now)
    for _ in range(24 * 3600):
        refusals.note("10.0.0.1")
        refusals.write_due()
        now += 1
    assert len(written) < 24 * 3600 / LONGEST_SECONDS + 10
    assert sum(count for _, count in written) >= 24 * 3600 - LONGEST_SECONDS
    now += 3 * LONGEST_SECONDS
    written.clear()
    refusals.note("10.0.0.1")
    refusals.write_due()
    assert len(written) == 1
    refusals.note("10.0.0.2")
    refusals.write_due()
    now += 2 * SHORTEST_SECONDS  # quiet again: soon written again
    refusals.write_due()
    assert written[1:] == [("10.0.0.1", written[1][1]), ("10.0.0.2", 1)] or written[1:] == [("10.0.0.2", 1)]


def test_refused_requests_are_not_forgotten_while_redis_is_away() -> None:
    written: list[tuple[str, int]] = []
    now = 1000.0

    def refuse(who: Who, action: str, count: int) -> None:
        raise StoreUnavailable

    refusals = Refusals(refuse, lambda: now)
    refusals.note("10.0.0.1")
    refusals.note("10.0.0.2")
    refusals.write_due()
    refusals.record = lambda who, _, count: written.append((who.address, count))
    now += SHORTEST_SECONDS
    refusals.write_due()
    assert sorted(written) == [("10.0.0.1", 1), ("10.0.0.2", 1)]

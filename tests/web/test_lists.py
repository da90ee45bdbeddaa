"""Lists of jobs: their order, filters and pages."""

from __future__ import annotations

import itertools
import re
from urllib.parse import urljoin

import pytest
from werkzeug.test import TestResponse

from tests.support.clock import START_MS
from tests.support.web import START, Api

PRIORITIES = ("foreground", "background", "best_effort")
STATUSES = ("pending", "running", "completed", "failed", "cancelled")


def ids(response: TestResponse) -> list[str]:
    return [job["id"] for job in response.get_json()]


def next_page(response: TestResponse) -> str | None:
    if "Link" not in response.headers:
        return None
    link = re.fullmatch(r'<([^>]*)>; rel="next"', response.headers["Link"])
    assert link
    return str(urljoin("http://localhost/api/v1/jobs?offset=7", link[1]))


def walk(api: Api, query: str) -> list[list[str]]:
    """Follow the links from the first page to the last; return the ids on each."""
    pages = [api.call("GET", f"/jobs?{query}")]
    while (url := next_page(pages[-1])) is not None:
        pages.append(api.client.get(url))
    assert all(page.status_code == 200 for page in pages)
    return [ids(page) for page in pages]


def test_an_empty_queue_lists_nothing(api: Api) -> None:
    response = api.call("GET", "/jobs")
    assert response.status_code == 200
    assert response.get_json() == []
    assert response.headers["X-Total-Count"] == "0"
    assert "Link" not in response.headers


def test_a_listed_job_shows_the_documented_fields_and_no_more(api: Api) -> None:
    job_id = api.submit(type="data-processing")
    api.bench.clock.advance(60_000)
    pending = {
        "id": job_id,
        "type": "data-processing",
        "status": "pending",
        "priority": "background",
        "executor_id": None,
        "created_at": START,
        "started_at": None,
    }
    assert api.get("/jobs") == [pending]
    api.claim("worker-1-abc123")
    running = {"status": "running", "executor_id": "worker-1-abc123", "started_at": "2023-11-14T22:14:20Z"}
    assert api.get("/jobs") == [pending | running]


def test_the_newest_job_comes_first_whatever_its_priority_and_time(api: Api) -> None:
    submitted = [api.submit(priority=priority) for priority in PRIORITIES]
    api.bench.clock.now_ms = START_MS - 5000  # a clock that was set back changes no order
    submitted += [api.submit(priority=priority) for priority in PRIORITIES]
    api.claim()
    assert ids(api.call("GET", "/jobs")) == submitted[::-1]


def one_of_each(api: Api) -> dict[tuple[str, str, str], str]:
    """Make two types of jobs, one of each status and priority; return their ids."""
    made = {}
    reports = {"completed": "complete", "failed": "fail", "running": "heartbeat"}
    for status, priority, type_ in itertools.product(reversed(STATUSES), PRIORITIES, ("a", "a:b")):
        job_id = made[status, priority, type_] = api.submit(priority=priority, type=type_)
        if status == "cancelled":
            api.call("DELETE", f"/jobs/{job_id}")
        elif status != "pending":
            assert api.claim()["id"] == job_id  # the pending ones are made last, so it is the only one
            assert api.report(reports[status], job_id).status_code == 200
    return made


def test_every_combination_of_filters_lists_exactly_the_matching_jobs(api: Api) -> None:
    made = one_of_each(api)
    for wanted in itertools.product((None, *STATUSES), (None, *PRIORITIES), (None, "a", "a:b", "b")):
        query = "&".join(
            f"{name}={value}" for name, value in zip(("status", "priority", "type"), wanted, strict=True) if value
        )
        response = api.call("GET", f"/jobs?{query}")
        expected = [
            job_id for of, job_id in made.items() if all(w in {None, o} for w, o in zip(wanted, of, strict=True))
        ]
        assert ids(response) == expected[::-1], query
        assert response.headers["X-Total-Count"] == str(len(expected))


def test_a_list_shows_a_hundred_jobs_by_default(api: Api) -> None:
    submitted = api.bench.submit(101)[::-1]
    response = api.call("GET", "/jobs")
    assert ids(response) == submitted[:100]
    assert response.headers["X-Total-Count"] == "101"
    assert ids(api.client.get(next_page(response) or "")) == submitted[100:]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=1", slice(0, 1)),
        ("limit=1000", slice(0, 1000)),
        ("limit=007", slice(0, 7)),
        ("offset=0", slice(0, 100)),
        ("limit=3&offset=4", slice(4, 7)),
        ("limit=10&offset=1195", slice(1195, 1200)),
        ("limit=1&offset=1199", slice(1199, 1200)),
        ("offset=1200", slice(0, 0)),
        ("offset=9007199254740991", slice(0, 0)),
    ],
)
def test_limit_and_offset_select_a_page(api: Api, query: str, expected: slice) -> None:
    submitted = api.bench.submit(1200)[::-1]
    response = api.call("GET", f"/jobs?{query}")
    assert ids(response) == submitted[expected]
    assert response.headers["X-Total-Count"] == "1200"


@pytest.mark.parametrize(("limit", "pages"), [(1, 12), (5, 3), (6, 2), (12, 1), (100, 1)])
def test_following_the_links_shows_every_job_once(api: Api, limit: int, pages: int) -> None:
    submitted = [api.submit(priority=priority) for priority in PRIORITIES * 4][::-1]
    walked = walk(api, f"limit={limit}")
    assert len(walked) == pages
    assert [job_id for page in walked for job_id in page] == submitted


def test_a_link_keeps_the_filters(api: Api) -> None:
    odd = "Ü&type=x#/%20"
    wanted = [api.submit(type=odd, priority="foreground") for _ in range(5)]
    for change in ({"type": "x", "priority": "foreground"}, {"type": odd}):
        api.submit(**change)
    query = "type=%C3%9C%26type%3Dx%23%2F%2520&priority=foreground&status=pending&limit=2"
    assert [job_id for page in walk(api, query) for job_id in page] == wanted[::-1]


def test_a_job_that_changes_its_status_keeps_its_place_in_the_list(api: Api) -> None:
    submitted = api.bench.submit(6)[::-1]
    first = ids(api.call("GET", "/jobs?limit=3"))
    api.claim()
    api.call("DELETE", f"/jobs/{submitted[0]}")
    assert first + ids(api.call("GET", "/jobs?limit=3&offset=3")) == submitted


def test_a_list_shows_no_output_no_environment_and_no_token(api: Api) -> None:
    job_id = api.submit(env_variables={"KEY": "canary-env"}, arguments=["canary-argument"])
    token = api.claim()["attempt_token"]
    api.report("complete", job_id, stdout="canary-stdout", stderr="canary-stderr")
    shown = api.call("GET", "/jobs").text
    assert "canary" not in shown
    assert token not in shown


def test_a_walk_shows_every_job_once_newest_first(api: Api) -> None:
    submitted = [api.submit() for _ in range(5)]
    pages = walk(api, "cursor=&limit=2")
    assert pages == [submitted[:2:-1], submitted[2:0:-1], submitted[:1]]
    assert walk(api, "cursor=&limit=5") == [submitted[::-1]]


def test_a_walk_keeps_the_filters_and_counts_all_that_match(api: Api) -> None:
    for type_ in "abab":
        api.submit(type=type_)
    first = api.call("GET", "/jobs?cursor=&limit=1&type=a&status=pending&priority=background")
    assert first.headers["X-Total-Count"] == "2"
    url = next_page(first)
    assert url is not None
    assert {"type=a", "status=pending", "priority=background", "limit=1"} < {*url.partition("?")[2].split("&")}
    second = api.client.get(url)
    assert (ids(first), ids(second)) == (
        ids(api.call("GET", "/jobs?type=a"))[:1],
        ids(api.call("GET", "/jobs?type=a"))[1:],
    )
    assert "Link" not in second.headers


def test_an_empty_queue_is_walked_in_one_step(api: Api) -> None:
    assert walk(api, "cursor=") == [[]]


def test_a_walk_is_not_disturbed_by_jobs_that_arrive_end_or_come_back(api: Api) -> None:
    submitted = [api.submit() for _ in range(7)]
    first = api.call("GET", "/jobs?cursor=&limit=2&status=pending")
    api.submit()  # newer than the walk
    api.call("DELETE", f"/jobs/{submitted[6]}")  # shown already
    api.call("DELETE", f"/jobs/{submitted[3]}")  # not shown yet, and no longer matching
    oldest = api.claim()
    second = api.client.get(next_page(first) or "")
    assert api.report("release", oldest["id"]).status_code == 200
    third = api.client.get(next_page(second) or "")
    assert ids(first) == submitted[:4:-1]
    assert ids(second) == [submitted[4], submitted[2]]
    assert ids(third) == [submitted[1], submitted[0]]
    assert next_page(third) is None

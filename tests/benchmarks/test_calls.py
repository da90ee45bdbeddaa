"""The script call by which the API stores jobs, repeated without the API."""

from __future__ import annotations

import redis

from benchmarks.clients.requests import REFERENCE
from benchmarks.rig.calls import submit_call
from jobqueue.job import Status
from jobqueue.queue.queries import Filter
from tests.support.bench import Bench


def test_a_repeated_call_stores_other_jobs_of_the_same_kind(real_client: redis.Redis) -> None:
    call = submit_call([REFERENCE, REFERENCE])
    real_client.script_load(call.script.text)
    for _ in range(2):
        real_client.evalsha(*call.again())
    queries = Bench(real_client).queries
    page = queries.list(Filter(status=Status.PENDING), 10, 0)
    assert (page.total, len({job.id for job in page.jobs}), {job.type for job in page.jobs}) == (
        4,
        4,
        {"data-processing"},
    )


def test_a_repeated_call_of_one_job_takes_its_id_and_its_spec() -> None:
    call = submit_call([REFERENCE])
    assert REFERENCE["binary_url"] in "".join(map(str, call.arguments))
    again = "".join(map(str, call.again("an-id", "a-spec")))
    assert "an-id" in again
    assert "a-spec" in again
    assert REFERENCE["binary_url"] not in again

"""New jobs as the script takes them, and what a key is for: a submit whose answer was lost is sent again."""

from __future__ import annotations

import pytest

from jobqueue.errors import StoreUnavailable
from jobqueue.queue.connection import connect
from jobqueue.queue.queries import Filter
from jobqueue.queue.records.submissions import make_ids
from tests.support.bench import Bench, new_job
from tests.support.redis_proxy import Proxy

JOBS = [new_job()] * 3


def test_the_same_seed_makes_the_same_ids() -> None:
    assert make_ids("a", 3) == make_ids("a", 3)
    assert not {*make_ids("a", 3)} & {*make_ids("b", 3)}


@pytest.mark.parametrize("key", ["submit_many:k", ""])
def test_a_submit_whose_answer_was_lost_is_stored_once_if_it_has_a_key(proxy: Proxy, key: str) -> None:
    with connect(proxy.url) as client:
        bench = Bench(client)
        bench.commands.submit([])  # Redis knows the script now, and will not ask for it
        proxy.answers_to_cut = 1
        with pytest.raises(StoreUnavailable):
            bench.commands.submit(JOBS, key)
        submitted = bench.commands.submit(JOBS, key)
        stored = [job.id for job in bench.queries.list(Filter(), 10, 0).jobs]
    assert submitted.replayed == bool(key)
    assert stored[: len(JOBS)] == list(submitted.job_ids[::-1])
    assert len(stored) == (3 if key else 6)

"""Keys of `lua/submit.lua`: the same jobs under the same key are stored once, and answered as the first time."""

from __future__ import annotations

import pytest

from jobqueue.errors import IdempotencyKeyReused
from jobqueue.job import NewJob, Priority, Spec
from jobqueue.queue.policy import Policy
from jobqueue.queue.queries import Filter
from jobqueue.queue.records.submissions import fingerprint
from tests.support.bench import SHA256, Bench, new_job
from tests.support.serving import at_once
from tests.support.waiting import wait_until

JOBS = [new_job(type="first"), new_job(type="second")]


def test_the_same_jobs_with_the_same_key_are_stored_once(bench: Bench) -> None:
    first = bench.commands.submit(JOBS, "submit:k")
    bench.clock.advance(5000)
    again = bench.commands.submit(JOBS, "submit:k")
    assert (first.replayed, again.replayed) == (False, True)
    assert (again.job_ids, again.created_at_ms) == (first.job_ids, first.created_at_ms)
    assert bench.queries.list(Filter(), 10, 0).total == 2


def test_a_replay_has_the_first_ids_even_if_the_jobs_are_gone(bench: Bench) -> None:
    first = bench.commands.submit(JOBS, "submit:k")
    bench.commands.cancel_many(first.job_ids)
    bench.clock.advance(bench.policy.retention_ms + 1)
    bench.commands.sweep()
    assert bench.queries.list(Filter(), 10, 0).total == 0
    assert bench.commands.submit(JOBS, "submit:k").job_ids == first.job_ids


def test_other_jobs_with_the_same_key_are_refused_and_not_stored(bench: Bench) -> None:
    bench.commands.submit(JOBS, "submit:k")
    for jobs in (JOBS[::-1], JOBS[:1], [*JOBS, *JOBS], [new_job(type="first"), new_job(type="third")]):
        with pytest.raises(IdempotencyKeyReused):
            bench.commands.submit(jobs, "submit:k")
    assert bench.queries.list(Filter(), 10, 0).total == 2


def test_other_keys_and_no_key_store_the_same_jobs_again(bench: Bench) -> None:
    keys = ["submit:k", "submit_many:k", "submit:K", "", ""]
    assert not any(bench.commands.submit(JOBS, key).replayed for key in keys)
    assert bench.queries.list(Filter(), 100, 0).total == 10


def test_a_key_is_remembered_for_its_time_and_takes_as_little_space_for_many_jobs(real_bench: Bench) -> None:
    real_bench.commands.submit(JOBS * 1000, "submit_many:k")
    [name] = real_bench.client.keys("*:idempotency:*")
    assert int(real_bench.client.memory_usage(name) or 0) < 300
    assert 86_390_000 < int(real_bench.client.pttl(name)) <= 86_400_000
    bench = Bench(real_bench.client, Policy(idempotency_key_ms=1), real_bench.clock)
    bench.commands.submit(JOBS, "submit:k")
    wait_until("the key is forgotten", lambda: not bench.client.exists("{jobqueue}:idempotency:submit:k"))
    assert not bench.commands.submit(JOBS, "submit:k").replayed


def test_of_requests_with_one_key_at_the_same_time_one_stores(real_bench: Bench) -> None:
    submitted = at_once([lambda: real_bench.commands.submit(JOBS, "submit:k")] * 8)
    assert sorted(each.replayed for each in submitted) == [False] + [True] * 7
    assert len({tuple(each.job_ids) for each in submitted}) == 1
    assert real_bench.queries.list(Filter(), 10, 0).total == 2


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        (Spec("http://h/", SHA256, ["a"], {"B": "2", "A": "1"}), True),
        (Spec("http://h/", SHA256, ["a"], {"A": "1", "B": "2"}, None), True),
        (Spec("http://h/", SHA256, ["a"], {"A": "2", "B": "1"}), False),
        (Spec("http://h/", SHA256, ["a"], {"A": "1", "B": "2"}, 9.5), False),
        (Spec("http://h/", SHA256, ["a", ""], {"A": "1", "B": "2"}), False),
        (Spec("http://h/a", SHA256, ["a"], {"A": "1", "B": "2"}), False),
    ],
)
def test_jobs_are_the_same_by_what_they_say(other: Spec, is_same: bool) -> None:
    spec = Spec("http://h/", SHA256, ["a"], {"A": "1", "B": "2"})
    prints = [fingerprint([NewJob("demo", Priority.BACKGROUND, each)]) for each in (spec, other)]
    assert (prints[0] == prints[1]) == is_same


def test_the_default_time_limit_is_not_what_a_client_said(bench: Bench) -> None:
    first = bench.commands.submit(JOBS, "submit:k")
    later = Bench(bench.client, Policy(timeout_seconds=9.5), bench.clock)
    assert later.commands.submit(JOBS, "submit:k").job_ids == first.job_ids

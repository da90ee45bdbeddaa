"""`lua/executors.lua`: the active executors, when each was seen, and what it runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jobqueue.job import Priority
from jobqueue.queue.queries import Executor
from jobqueue.queue.scripts import ROOT
from tests.support.attempts import BROKEN, DONE, Attempt, claim, start
from tests.support.bench import Bench
from tests.support.clock import START_MS
from tests.support.contents import contents


def test_an_empty_queue_has_no_executors(bench: Bench) -> None:
    assert bench.executors() == []


def test_an_executor_that_claimed_no_job_was_seen(bench: Bench) -> None:
    bench.claims.claim("executor-1", None)
    assert bench.executors() == [Executor("executor-1", START_MS, 0, None, None)]


def test_the_executor_seen_last_comes_first(bench: Bench) -> None:
    for number in (2, 1, 3):
        bench.claims.claim(f"executor-{number}", None)
        bench.clock.advance(1)
    assert [executor.executor_id for executor in bench.executors()] == [
        "executor-3",
        "executor-1",
        "executor-2",
    ]


SIGNS: dict[str, Callable[[Bench, Attempt], object]] = {
    "claim": lambda bench, attempt: bench.claims.claim("executor-1", None),
    "heartbeat": lambda bench, attempt: bench.claims.heartbeat(attempt.job_id, attempt.holder),
    "release": lambda bench, attempt: bench.claims.release(attempt.job_id, attempt.holder),
    "complete": lambda bench, attempt: bench.claims.complete(attempt.job_id, attempt.holder, DONE),
    "fail": lambda bench, attempt: bench.claims.fail(attempt.job_id, attempt.holder, BROKEN),
}


@pytest.mark.parametrize("sign", SIGNS)
def test_every_call_of_an_executor_counts_as_seen(bench: Bench, sign: str) -> None:
    attempt = start(bench)
    bench.clock.advance(1_000)
    SIGNS[sign](bench, attempt)
    assert bench.executors()[0].last_heartbeat_ms == START_MS + 1_000


def test_an_executor_is_listed_until_its_time_out(bench: Bench) -> None:
    bench.claims.claim("executor-1", None)
    bench.clock.advance(bench.policy.executor_timeout_ms - 1)
    assert len(bench.executors()) == 1
    bench.clock.advance(1)
    assert len(bench.executors()) == 0


def test_an_executor_is_listed_with_the_job_it_claimed_last(bench: Bench) -> None:
    bench.submit(1, Priority.FOREGROUND, "older")
    bench.submit(1, Priority.BACKGROUND, "newer")
    older = claim(bench)
    bench.clock.advance(1)
    newer = claim(bench)
    assert current_job(bench) == (newer.job_id, "newer")
    bench.claims.complete(newer.job_id, newer.holder, DONE)
    assert current_job(bench) == (older.job_id, "older")
    bench.claims.complete(older.job_id, older.holder, DONE)
    assert current_job(bench) == (None, None)


def current_job(bench: Bench) -> tuple[str | None, str | None]:
    [executor] = bench.executors()
    return executor.current_job_id, executor.job_type


def test_completed_jobs_are_counted_for_each(bench: Bench) -> None:
    for executor_id, count in (("executor-1", 3), ("executor-2", 1)):
        for _ in range(count):
            attempt = start(bench, executor_id)
            bench.claims.complete(attempt.job_id, attempt.holder, DONE)
    counts = {executor.executor_id: executor.jobs_completed for executor in bench.executors()}
    assert counts == {"executor-1": 3, "executor-2": 1}


def test_executors_are_read_in_pages_with_their_number(bench: Bench) -> None:
    seen_ms = {f"executor-{number}": START_MS - number for number in range(25)}
    bench.client.zadd(f"{ROOT}:executors", seen_ms)
    pages = [bench.queries.executors(10, offset) for offset in (0, 10, 20, 30)]
    assert [executor.executor_id for page in pages for executor in page.executors] == list(seen_ms)
    assert [len(page.executors) for page in pages] == [10, 10, 5, 0]
    assert {page.total for page in pages} == {25}


def test_at_most_ten_thousand_executors_are_remembered_the_longest_silent_go_first(bench: Bench) -> None:
    bench.client.zadd(f"{ROOT}:executors", {f"executor-{number}": START_MS + number for number in range(10_000)})
    bench.client.hset(f"{ROOT}:jobs_completed", mapping={"executor-0": 5, "executor-1": 5})
    bench.clock.advance(10_000)
    bench.claims.claim("another", None)
    assert bench.queries.stats().active_executors == 10_000
    assert bench.client.zscore(f"{ROOT}:executors", "executor-0") is None
    assert bench.client.hgetall(f"{ROOT}:jobs_completed") == {"executor-1": "5"}


def test_a_set_of_executors_that_is_too_large_shrinks_with_every_call_and_sweep(bench: Bench) -> None:
    bench.client.zadd(f"{ROOT}:executors", {f"executor-{number}": START_MS for number in range(10_300)})
    bench.clock.advance(1)
    bench.claims.claim("another", None)
    assert bench.client.zcard(f"{ROOT}:executors") == 10_298
    assert [bench.commands.sweep().executors_forgotten for _ in range(4)] == [100, 100, 98, 0]
    assert bench.client.zcard(f"{ROOT}:executors") == 10_000


def test_an_executor_that_is_forgotten_keeps_its_job(bench: Bench) -> None:
    attempt = start(bench)
    bench.client.zadd(f"{ROOT}:executors", {f"executor-{number}": START_MS + 1 for number in range(2, 10_002)})
    bench.commands.sweep()
    assert bench.client.zscore(f"{ROOT}:executors", "executor-1") is None
    bench.clock.advance(5)
    bench.claims.complete(attempt.job_id, attempt.holder, DONE)
    assert bench.queries.executors(1, 0).executors == [Executor("executor-1", START_MS + 5, 1, None, None)]


def test_an_id_that_looks_like_part_of_a_key_is_like_any_other(bench: Bench) -> None:
    attempt = start(bench, "held:ünïcode:{1}")
    [executor] = bench.executors()
    assert (executor.executor_id, executor.current_job_id) == ("held:ünïcode:{1}", attempt.job_id)


def test_reading_changes_nothing(bench: Bench) -> None:
    start(bench)
    before = contents(bench.client)
    bench.executors()
    assert contents(bench.client) == before

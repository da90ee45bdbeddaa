"""`lua/executors.lua`: the active executors, when each was seen, and what it runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jobqueue.job import Priority
from jobqueue.queue.queries import Executor
from tests.support.attempts import BROKEN, DONE, Attempt, claim, start
from tests.support.bench import Bench
from tests.support.clock import START_MS
from tests.support.contents import contents


def test_an_empty_queue_has_no_executors(bench: Bench) -> None:
    assert bench.queries.executors() == []


def test_an_executor_that_claimed_no_job_was_seen(bench: Bench) -> None:
    bench.commands.claim("executor-1", None)
    assert bench.queries.executors() == [Executor("executor-1", START_MS, 0, None, None)]


def test_the_executor_seen_last_comes_first(bench: Bench) -> None:
    for number in (2, 1, 3):
        bench.commands.claim(f"executor-{number}", None)
        bench.clock.advance(1)
    assert [executor.executor_id for executor in bench.queries.executors()] == [
        "executor-3",
        "executor-1",
        "executor-2",
    ]


SIGNS: dict[str, Callable[[Bench, Attempt], object]] = {
    "claim": lambda bench, attempt: bench.commands.claim("executor-1", None),
    "heartbeat": lambda bench, attempt: bench.commands.heartbeat(attempt.job_id, attempt.holder),
    "release": lambda bench, attempt: bench.commands.release(attempt.job_id, attempt.holder),
    "complete": lambda bench, attempt: bench.commands.complete(attempt.job_id, attempt.holder, DONE),
    "fail": lambda bench, attempt: bench.commands.fail(attempt.job_id, attempt.holder, BROKEN),
}


@pytest.mark.parametrize("sign", SIGNS)
def test_every_call_of_an_executor_counts_as_seen(bench: Bench, sign: str) -> None:
    attempt = start(bench)
    bench.clock.advance(1_000)
    SIGNS[sign](bench, attempt)
    assert bench.queries.executors()[0].last_heartbeat_ms == START_MS + 1_000


def test_an_executor_is_listed_until_its_time_out(bench: Bench) -> None:
    bench.commands.claim("executor-1", None)
    bench.clock.advance(bench.policy.executor_timeout_ms - 1)
    assert len(bench.queries.executors()) == 1
    bench.clock.advance(1)
    assert len(bench.queries.executors()) == 0


def test_an_executor_is_listed_with_the_job_it_claimed_last(bench: Bench) -> None:
    bench.submit(1, Priority.FOREGROUND, "older")
    bench.submit(1, Priority.BACKGROUND, "newer")
    older = claim(bench)
    bench.clock.advance(1)
    newer = claim(bench)
    assert current_job(bench) == (newer.job_id, "newer")
    bench.commands.complete(newer.job_id, newer.holder, DONE)
    assert current_job(bench) == (older.job_id, "older")
    bench.commands.complete(older.job_id, older.holder, DONE)
    assert current_job(bench) == (None, None)


def current_job(bench: Bench) -> tuple[str | None, str | None]:
    [executor] = bench.queries.executors()
    return executor.current_job_id, executor.job_type


def test_completed_jobs_are_counted_for_each(bench: Bench) -> None:
    for executor_id, count in (("executor-1", 3), ("executor-2", 1)):
        for _ in range(count):
            attempt = start(bench, executor_id)
            bench.commands.complete(attempt.job_id, attempt.holder, DONE)
    counts = {executor.executor_id: executor.jobs_completed for executor in bench.queries.executors()}
    assert counts == {"executor-1": 3, "executor-2": 1}


def test_a_thousand_executors_are_all_returned(bench: Bench) -> None:
    for number in range(1001):
        bench.client.zadd("{jobqueue}:executors", {f"executor-{number}": START_MS})
    executors = bench.queries.executors()
    assert len(executors) == len({executor.executor_id for executor in executors}) == 1001


def test_an_id_that_looks_like_part_of_a_key_is_like_any_other(bench: Bench) -> None:
    attempt = start(bench, "held:ünïcode:{1}")
    [executor] = bench.queries.executors()
    assert (executor.executor_id, executor.current_job_id) == ("held:ünïcode:{1}", attempt.job_id)


def test_reading_changes_nothing(bench: Bench) -> None:
    start(bench)
    before = contents(bench.client)
    bench.queries.executors()
    assert contents(bench.client) == before

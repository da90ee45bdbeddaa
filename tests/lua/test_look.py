"""`lua/look.lua`: what is pending for the executors that wait at a server, and that they still ask."""

from __future__ import annotations

from jobqueue.job import Priority
from tests.support.attempts import claim, lose, start
from tests.support.bench import Bench


def test_pending_jobs_are_counted_for_each_group_by_its_types(bench: Bench) -> None:
    bench.submit(2, Priority.FOREGROUND, "render")
    bench.submit(1, Priority.BEST_EFFORT, "render")
    bench.submit(3, type="encode")
    assert bench.commands.look([], [[], ["render"], ["encode", "other"], ["render", "encode"], ["other"]]) == [
        *(6, 3, 3, 6, 0)
    ]


def test_a_running_job_is_not_counted_and_a_lost_one_is(bench: Bench) -> None:
    start(bench)
    assert bench.commands.look([], [[]]) == [0]
    lose(bench)
    assert bench.commands.look([], [[], ["demo"]]) == [2, 2]


def test_executors_that_wait_are_listed_and_count_as_asking(bench: Bench) -> None:
    bench.commands.look(["waiting-1", "waiting-2"], [])
    bench.clock.advance(1000)
    bench.commands.look(["waiting-1"], [])
    assert [executor.executor_id for executor in bench.executors()] == ["waiting-1", "waiting-2"]
    assert bench.client.zcard("{jobqueue}:askers") == 2


def test_a_look_without_executors_writes_nothing(bench: Bench) -> None:
    assert bench.commands.look([], [[]]) == [0]
    assert bench.client.dbsize() == 0


def test_many_new_executors_do_not_make_the_set_grow_without_bound(real_bench: Bench) -> None:
    real_bench.client.zadd("{jobqueue}:executors", {f"silent-{number}": number for number in range(10_000)})
    real_bench.commands.look([f"waiting-{number}" for number in range(500)], [])
    assert real_bench.client.zcard("{jobqueue}:executors") == 10_000
    assert real_bench.client.zscore("{jobqueue}:executors", "waiting-0") is not None
    claim_id = real_bench.submit()
    assert [claim(real_bench).job_id] == claim_id

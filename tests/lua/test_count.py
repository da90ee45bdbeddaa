"""`lua/count.lua`: the requests of a caller are counted in windows that end by themselves."""

from __future__ import annotations

from jobqueue.queue.scripts import ROOT
from tests.support.bench import Bench

HOUR_MS = 3_600_000


def test_requests_are_counted_from_the_first_one_on(bench: Bench) -> None:
    counted = [bench.commands.count("caller", HOUR_MS) for _ in range(3)]
    assert [each.count for each in counted] == [1, 2, 3]
    assert counted[0].left_ms == HOUR_MS
    assert all(0 < each.left_ms <= HOUR_MS for each in counted)


def test_each_window_is_counted_for_itself(bench: Bench) -> None:
    bench.commands.count("caller", HOUR_MS)
    assert bench.commands.count("another", HOUR_MS).count == 1


def test_a_window_is_forgotten_at_its_end(bench: Bench) -> None:
    bench.commands.count("caller", HOUR_MS)
    bench.commands.count("caller", HOUR_MS)
    assert 0 < bench.client.pttl(f"{ROOT}:rate:caller") <= HOUR_MS  # not prolonged by the second request
    bench.client.pexpire(f"{ROOT}:rate:caller", 0)
    assert bench.commands.count("caller", HOUR_MS).count == 1


def test_a_window_that_has_lost_its_end_gets_another_one(bench: Bench) -> None:
    bench.commands.count("caller", HOUR_MS)
    bench.client.persist(f"{ROOT}:rate:caller")
    assert bench.commands.count("caller", HOUR_MS).left_ms == HOUR_MS
    assert bench.client.pttl(f"{ROOT}:rate:caller") > 0

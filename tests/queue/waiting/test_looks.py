"""The looks for pending jobs that a process makes for all claims that wait in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobqueue.errors import StoreUnavailable
from jobqueue.queue.connection import connect
from jobqueue.queue.waiting import looks
from jobqueue.queue.waiting.looks import MAX_GROUPS, Looker
from jobqueue.queue.waiting.waking import LOOK_WAKES
from tests.support.bench import Bench
from tests.support.redis_proxy import Proxy
from tests.support.waiting import wait_until
from tests.support.waits import LONG_SECONDS, Room
from tests.support.waits import room as open_room


@pytest.fixture
def room() -> Iterator[Room]:
    with open_room() as opened:
        yield opened


def test_a_job_whose_notice_was_lost_is_found_by_a_look(room: Room, real_bench: Bench) -> None:
    real_bench.submit(type="render")
    looker = Looker(real_bench.commands, room.waiters, 60_000)
    other, taker = room.enter("other", "encode"), room.enter("taker", "render")
    room.jobs.pending.append("render")
    looker.start()
    assert taker.result(LONG_SECONDS).found == "render"
    assert not other.done()
    looker.stop()


def test_a_look_wakes_a_few_and_is_repeated_as_long_as_they_find_something(room: Room, real_bench: Bench) -> None:
    count = 2 * LOOK_WAKES + 1
    claims = [room.enter(str(number)) for number in range(count)]
    room.jobs.pending += count * ["demo"]
    real_bench.submit(count)
    room.waiters.poked.clear()
    looker = Looker(real_bench.commands, room.waiters, 60_000)
    looker.look()
    wait_until("the first have theirs", lambda: sum(claiming.done() for claiming in claims) == LOOK_WAKES)
    assert room.waiters.poked.is_set()
    looker.start()
    assert {claiming.result(LONG_SECONDS).found for claiming in claims} == {"demo"}
    looker.stop()


def test_many_sets_of_types_have_their_turns(room: Room, real_bench: Bench) -> None:
    claims = [room.enter(str(number), f"type-{number}") for number in range(2 * MAX_GROUPS)]
    for number in range(2 * MAX_GROUPS):
        room.jobs.pending.append(f"type-{number}")
        real_bench.submit(type=f"type-{number}")
    looker = Looker(real_bench.commands, room.waiters, 60_000)
    for done in (MAX_GROUPS, 2 * MAX_GROUPS):
        looker.look()
        wait_until("as many have theirs", lambda done=done: sum(each.done() for each in claims) == done)  # type: ignore[misc]


def test_executors_that_wait_stay_listed(room: Room, real_bench: Bench) -> None:
    room.enter("waits")
    looker = Looker(real_bench.commands, room.waiters, executor_timeout_ms=0)
    looker.look()
    assert [executor.executor_id for executor in real_bench.executors()] == ["waits"]


def test_an_outage_is_reported_to_those_who_wait_when_it_lasts(
    proxy: Proxy, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "AWAY_SECONDS", 0.1)
    monkeypatch.setattr(looks, "AGAIN_SECONDS", 0.02)
    with connect(proxy.url) as client:
        looker = Looker(Bench(client).commands, room.waiters, 60_000)
        claiming = room.enter("waits")
        proxy.away = True
        looker.look()
        assert not claiming.done()
        looker.start()
        with pytest.raises(StoreUnavailable):
            claiming.result(LONG_SECONDS)
        looker.stop()

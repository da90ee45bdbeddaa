"""Claims that wait: who is woken, for what, and who is not."""

from __future__ import annotations

import pytest

from jobqueue.errors import StoreUnavailable
from jobqueue.queue.waiting.wait import ENDING_RETRY_SECONDS, FULL_RETRY_SECONDS, Attempt, Outcome, Wait
from tests.support.waiting import wait_until
from tests.support.waits import LONG_SECONDS, Caller, Room, found


def test_a_claim_that_finds_a_job_does_not_wait(room: Room) -> None:
    room.jobs.pending.append("render")
    assert found(room.enter("first")) == "render"


def test_new_jobs_wake_one_claim_each_in_the_order_in_which_they_began_to_wait(room: Room) -> None:
    claims = [room.enter(str(number)) for number in range(4)]
    room.jobs.asked.clear()
    room.submit("render")
    assert found(claims[0]) == "render"
    room.submit("render", "encode")
    assert {found(claims[1]), found(claims[2])} == {"render", "encode"}
    assert sorted(room.jobs.asked) == ["0", "1", "2"]
    assert not claims[3].done()


def test_a_job_wakes_only_who_takes_its_type(room: Room) -> None:
    other, taker = room.enter("other", "encode"), room.enter("taker", "paint", "render")
    room.submit("render")
    assert found(taker) == "render"
    assert not other.done()
    assert room.jobs.asked.count("other") == 1


def test_a_wake_that_finds_nothing_is_passed_on_once_and_its_claim_keeps_its_place(room: Room) -> None:
    claims = [room.enter(str(number)) for number in range(3)]
    room.jobs.asked.clear()
    room.waiters.notice([(1, "render")], "1")
    wait_until("both are back", lambda: len(room.jobs.asked) == 2 and room.in_line() == 3)
    assert room.jobs.asked == ["0", "1"]
    room.submit("render")
    assert found(claims[0]) == "render"


def test_the_wake_of_a_client_that_has_gone_goes_to_the_next(room: Room) -> None:
    gone = Caller()
    lost, waits = room.enter("gone", client=gone), room.enter("next")
    gone.connected = False
    room.submit("render")
    assert found(waits) == "render"
    assert found(lost) is None
    assert room.jobs.asked.count("gone") == 1


def test_a_claim_that_gets_another_type_than_it_was_woken_for_has_a_look_made_for_that(room: Room) -> None:
    first = room.enter("first")
    room.jobs.pending += ["render", "encode"]  # the notice of the first was lost
    room.waiters.poked.clear()
    room.waiters.notice([(1, "encode")], "1")
    assert found(first) == "render"
    assert room.waiters.poked.is_set()


def test_a_job_that_comes_while_a_claim_asks_is_not_missed(room: Room) -> None:
    attempts: list[int] = []

    def ask() -> Attempt[str]:
        attempts.append(len(attempts))
        if len(attempts) == 1:
            room.waiters.notice([(1, "render")], "1")  # too late for this attempt
            return Attempt("", [])
        return Attempt("render", ["render"])

    wait = Wait("asking", frozenset(), LONG_SECONDS, Caller())
    assert room.waiters.claim(wait, ask).found == "render"


@pytest.mark.parametrize("own_first", [True, False])
def test_a_job_of_this_process_wakes_one_claim_though_its_notice_comes_too(room: Room, own_first: bool) -> None:
    claims = [room.enter(str(number)) for number in range(2)]
    room.jobs.pending.append("render")
    ways = [room.waiters.notice_here, room.waiters.notice]
    for notice in ways if own_first else reversed(ways):
        notice([(1, "render")], "7")
    assert found(claims[0]) == "render"
    assert room.in_line() == 1
    assert room.jobs.asked.count("1") == 1  # A wake would have had it ask again before it came back into the line.
    room.jobs.pending.append("render")
    room.waiters.notice([(1, "render")], "7")  # the same job, which was released
    assert found(claims[1]) == "render"


def test_a_replay_ends_the_wait_even_without_jobs(room: Room) -> None:
    wait = Wait("repeating", frozenset(), LONG_SECONDS, Caller())
    assert room.waiters.claim(wait, lambda: Attempt("nothing left", [], replayed=True)).found == "nothing left"


def test_a_wait_ends_in_time_and_leaves_nothing_behind(room: Room) -> None:
    assert found(room.enter("short", seconds=0.05)) is None
    assert (len(room.waiters), room.in_line()) == (0, 0)


def test_at_the_end_all_are_answered_at_once_and_told_when_to_come_again(room: Room) -> None:
    claims = [room.enter(str(number)) for number in range(3)]
    room.waiters.end()
    claims.append(room.enter("late"))
    assert [claiming.result(LONG_SECONDS) for claiming in claims] == 4 * [Outcome(None, ENDING_RETRY_SECONDS)]


def test_where_too_many_wait_a_claim_is_answered_at_once_but_asks_first(room: Room) -> None:
    crowded = Caller(room=False)
    assert room.enter("late", client=crowded).result(LONG_SECONDS) == Outcome(None, FULL_RETRY_SECONDS)
    room.jobs.pending.append("render")
    assert found(room.enter("late", client=crowded)) == "render"


def test_an_outage_answers_those_who_wait_with_its_error_and_wakes_nobody_else(room: Room) -> None:
    claims = [room.enter(str(number)) for number in range(2)]
    room.jobs.failure = StoreUnavailable()
    room.waiters.notice([(1, "render")], "1")
    with pytest.raises(StoreUnavailable):
        found(claims[0])
    assert not claims[1].done()
    room.waiters.fail(StoreUnavailable())
    with pytest.raises(StoreUnavailable):
        found(claims[1])
    assert room.jobs.asked.count("1") == 1


def test_executors_that_wait_are_noted_once_and_those_that_have_gone_leave(room: Room) -> None:
    gone = Caller()
    claims = [room.enter("waits"), room.enter("gone", client=gone)]
    gone.connected = False
    assert room.waiters.take_unseen(100, 60) == []  # they have just claimed
    assert room.waiters.take_unseen(100, 0) == ["waits"]
    assert found(claims[1]) is None
    assert not claims[0].done()

"""The line of those who wait, what is known about pending jobs, and what other processes know of the line."""

from __future__ import annotations

import random

import pytest

from jobqueue.queue.waiting import notices
from jobqueue.queue.waiting.line import Line, Waiter
from jobqueue.queue.waiting.neighbours import ENTRIES, Precedence
from jobqueue.queue.waiting.notices import ALL_TYPES, Knowledge
from jobqueue.queue.waiting.waiters import Waiters
from tests.support.waits import Room, neighbours
from tests.support.waits import room as open_room

A, B, BOTH = frozenset("a"), frozenset("b"), frozenset("ab")


def test_the_first_for_a_type_is_the_one_that_began_first_among_those_who_take_it() -> None:
    line = Line()
    waiters = [Waiter(types, place) for place, types in enumerate([B, A, BOTH, ALL_TYPES, A])]
    for waiter in random.sample(waiters, len(waiters)):
        line.add(waiter)
    order = []
    while (first := line.first_for("a")) is not None:
        order.append(first.place)
        line.remove(first)
    assert order == [1, 2, 3, 4]
    assert line.groups() == [B]
    line.add(waiters[2])
    assert line.first_for("a") is waiters[2]


def test_a_line_does_not_keep_those_who_have_left() -> None:
    line = Line()
    line.add(Waiter(ALL_TYPES, -1))
    for place in range(1000):
        waiter = Waiter(ALL_TYPES, place)
        line.add(waiter)
        line.remove(waiter)
    assert len(line) == 1
    [group] = line._groups.values()
    assert len(group.entries) < 100


def test_a_look_that_found_nothing_counts_until_the_next_notice_of_such_a_type(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Knowledge()
    known.number = 7
    known.note_look(7, ALL_TYPES, 0)
    assert known.empty_since(ALL_TYPES) == known.empty_since(A) == 7
    known.number = 8
    known.note("a")
    assert (known.empty_since(ALL_TYPES), known.empty_since(A), known.empty_since(B)) == (None, None, 7)
    known.note_look(7, A, 0)  # it began before the notice
    assert known.empty_since(A) is None
    known.note_look(8, A, 0)
    assert known.empty_since(A) == 8
    monkeypatch.setattr(notices, "KNOWN_SECONDS", 0)
    assert known.empty_since(A) is None


def test_knowledge_of_many_types_is_bounded_and_never_says_too_much() -> None:
    known = Knowledge()
    known.note_look(0, A, 0)
    for number in range(notices.MAX_TYPES + 5):
        known.number += 1
        known.note(f"type-{number}")
        known.note_look(0, frozenset([f"type-{number}"]), 0)
    assert len(known._empty) <= notices.MAX_GROUPS
    known.note_look(0, A, 0)
    assert known.empty_since(A) is None  # a notice of this type may be among those that were forgotten


def test_a_process_knows_who_waits_in_another_one_and_for_what() -> None:
    one, other = neighbours()
    entries = [one.own.enter(began, types) for began, types in [(3.0, A), (2.0, ALL_TYPES), (1.0, BOTH)]]
    assert other.waiting_for("a", "7") == [1.0, 2.0, 3.0]
    assert other.waiting_for("b", "7") == [1.0, 2.0]
    one.own.wake(entries[1], "7")
    assert other.waiting_for("b", "7") == [1.0, 2.0]
    assert other.waiting_for("b", "8") == [1.0]
    one.own.rest(entries[1])
    one.own.leave(entries[2])
    assert other.waiting_for("a", "7") == [2.0, 3.0]
    assert one.waiting_for("a", "7") == []
    for number in range(ENTRIES):
        one.own.enter(10.0 + number, A)
    assert len(other.waiting_for("a", "7")) == ENTRIES
    one.own.clear()  # the next process has begun
    assert other.waiting_for("a", "7") == []


def test_a_job_is_left_to_the_claim_that_has_waited_longest_in_whichever_process() -> None:
    one, other = neighbours()
    with open_room() as here, open_room() as there:
        here.waiters, there.waiters = Waiters(None, one), Waiters(None, other)
        there.jobs = here.jobs
        rooms: list[Room] = [here, there, here]
        claims = [room.enter(str(number)) for number, room in enumerate(rooms)]
        for number, claiming in enumerate(claims):
            here.jobs.pending.append("a")
            for waiters in (there.waiters, here.waiters):
                waiters.notice([(1, "a")], str(number))
            assert claiming.result(60).found == "a"
        assert here.jobs.asked == [*"012", *"012"]


def test_a_process_that_hangs_keeps_a_job_from_others_for_two_looks() -> None:
    one, other = neighbours()
    one.own.enter(1.0, ALL_TYPES)
    with open_room() as there:
        there.waiters = Waiters(None, other)
        claiming = there.enter("waits")
        there.waiters.poked.clear()
        there.submit("a")
        assert not claiming.done()
        assert there.waiters.poked.is_set()
        there.waiters.poked.clear()
        there.waiters.found(*there.waiters.groups()[:1], ALL_TYPES, 1)  # it is perhaps about to be claimed there
        assert not claiming.done()
        assert there.waiters.poked.is_set()
        there.waiters.found(*there.waiters.groups()[:1], ALL_TYPES, 1)
        assert claiming.result(60).found == "a"


def test_types_that_nobody_waits_for_any_more_are_forgotten() -> None:
    one, other = neighbours()
    one.own.enter(1.0, A)
    line = Line()
    line.add(Waiter(A, place=2.0))
    precedence = Precedence(other, line)
    assert precedence.is_for_another(A)
    precedence.keep_only([B])
    assert precedence.is_for_another(A)  # as if for the first time
    assert not precedence.is_for_another(A)

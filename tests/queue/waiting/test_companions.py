"""Claims that are sent to Redis along with the job that they wait for."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest

from jobqueue.errors import JobQueueError, QueueFull, StoreUnavailable
from jobqueue.queue.claims import ClaimRequest
from jobqueue.queue.policy import Policy
from jobqueue.queue.records.claimed import ClaimedJobs
from jobqueue.queue.scripts import Call
from jobqueue.queue.waiting.companions import Answer, Companion
from jobqueue.queue.waiting.wait import Attempt
from jobqueue.queue.waiting.waiters import Waiters
from tests.support.bench import Bench, new_job
from tests.support.waiting import wait_until
from tests.support.waits import LONG_SECONDS, Caller, Room, found, neighbours
from tests.support.waits import room as open_room

NOTICE = "1 render 9"


def take(room: Room, type: str = "render") -> Companion:
    """Take a claim as a companion; nobody has asked since then."""
    companion = room.waiters.companion_for(type)
    assert companion is not None
    room.jobs.asked.clear()
    return companion


def land(companion: Companion, answer: object, notice: str = NOTICE) -> None:
    """Let the exchange of a companion end: `answer` is what `Question.read` gets."""
    companion.land(companion, answer, notice)  # type: ignore[arg-type]  # the room's jobs are no answers of scripts


def test_the_first_who_takes_the_type_gets_what_its_claim_was_answered(room: Room) -> None:
    other, first, second = room.enter("other", "encode"), room.enter("first"), room.enter("second")
    companion = take(room)
    assert companion.call == ("claim", ["first"])
    assert room.in_line() == 2
    land(companion, Attempt("render", ["render"]))
    assert found(first) == "render"
    room.waiters.notice([(1, "render")], "9")  # comes from Redis as well
    assert room.in_line() == 2
    assert room.jobs.asked == []
    assert not other.done()
    assert not second.done()


def test_notices_are_held_back_while_it_is_not_known_which_is_about_the_job(room: Room) -> None:
    first, second = room.enter("first"), room.enter("second")
    companion = take(room)
    room.waiters.notice([(1, "render")], "9")  # comes from Redis before the answer does
    room.jobs.pending.append("render")
    room.waiters.notice([(1, "render")], "8")  # another one
    assert room.in_line() == 1
    land(companion, Attempt("render", ["render"]))
    assert (found(first), found(second)) == ("render", "render")
    assert room.jobs.asked == ["second"]


def test_notices_that_cannot_be_about_the_job_are_not_held_back(room: Room) -> None:
    claims = [room.enter(str(number)) for number in range(4)]
    companion = take(room)
    room.submit("encode")
    assert found(claims[1]) == "encode"
    room.submit("render", "render")
    assert [found(claiming) for claiming in claims[2:]] == ["render", "render"]
    land(companion, Attempt("render", ["render"]))


def test_a_notice_is_held_back_only_by_what_was_on_its_way_when_it_came(room: Room) -> None:
    claims = [room.enter(str(number)) for number in range(4)]
    earlier, later = take(room), take(room)
    room.jobs.pending.append("render")
    room.waiters.notice([(1, "render")], "8")
    latest = take(room)
    land(earlier, Attempt("render", ["render"]))
    assert found(claims[0]) == "render"
    assert room.jobs.asked == []
    land(later, Attempt("render", ["render"]), "1 render 10")
    assert (found(claims[1]), found(claims[3])) == ("render", "render")
    land(latest, Attempt("render", ["render"]), "1 render 11")
    assert found(claims[2]) == "render"


def test_one_that_gets_nothing_waits_on_at_its_place_and_the_job_is_offered_to_the_next(room: Room) -> None:
    claims = [room.enter(str(number)) for number in range(3)]
    land(take(room), Attempt("", []))
    wait_until("both are back", lambda: room.in_line() == 3 and room.jobs.asked == ["1"])
    room.submit("render")
    assert found(claims[0]) == "render"


def test_one_whose_exchange_has_failed_asks_again(room: Room) -> None:
    claiming = room.enter("first")
    companion = take(room)
    room.jobs.pending.append("render")
    land(companion, None, "")
    assert found(claiming) == "render"
    assert room.jobs.asked == ["first"]


def test_one_that_was_refused_is_answered_with_the_error(room: Room) -> None:
    claiming = room.enter("first")
    land(take(room), StoreUnavailable())
    with pytest.raises(StoreUnavailable):
        found(claiming)


@pytest.mark.parametrize("leave", ["end", "fail", "recheck"])
def test_one_that_has_to_leave_meanwhile_is_still_answered_with_its_job(room: Room, leave: str) -> None:
    client = Caller()
    claiming = room.enter("first", client=client)
    companion = take(room)
    client.connected = leave != "recheck"
    if leave == "fail":
        room.waiters.fail(StoreUnavailable())
    else:
        getattr(room.waiters, leave)()
    with pytest.raises(TimeoutError):
        claiming.result(0.2)
    land(companion, Attempt("render", ["render"]))
    assert found(claiming) == "render"


def test_one_whose_wait_ends_meanwhile_is_still_answered_with_its_job(room: Room) -> None:
    claiming = room.enter("first", seconds=0.2)
    companion = take(room)
    with pytest.raises(TimeoutError):
        claiming.result(0.5)
    land(companion, Attempt("render", ["render"]))
    assert found(claiming) == "render"


def test_the_lease_counts_from_when_the_claim_was_sent(room: Room) -> None:
    began_at = time.monotonic()
    claiming = room.enter("first")
    companion = take(room)
    companion.sent_at -= 5  # the exchange takes a while
    land(companion, Attempt("render", ["render"]))
    assert claiming.result(LONG_SECONDS).waited_seconds <= companion.sent_at - began_at


def test_nobody_goes_along_with_a_job_that_nobody_here_may_get_first(room: Room) -> None:
    assert room.waiters.companion_for("render") is None
    gone = Caller()
    claims = [room.enter("other", "encode"), room.enter("gone", client=gone), room.enter("next")]
    gone.connected = False
    assert room.waiters.companion_for("render") is None
    assert room.in_line() == 3
    room.submit("render")
    assert found(claims[2]) == "render"


def test_nobody_goes_along_before_an_older_claim_of_another_process() -> None:
    one, other = neighbours()
    with open_room() as here, open_room() as there:
        here.waiters, there.waiters = Waiters(None, one), Waiters(None, other)
        here.enter("older")
        there.enter("younger")
        assert there.waiters.companion_for("render") is None
        land(take(here), Attempt("render", ["render"]))
        companion = take(there)
        assert companion.call == ("claim", ["younger"])
        land(companion, Attempt("render", ["render"]))


@dataclass
class OneWaits:
    """In the place of the claims that wait: one of them, for any type. Notes how it lands."""

    bench: Bench
    request: ClaimRequest
    asked_for: list[str] = field(default_factory=list)
    landed: list[tuple[Answer, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bench.commands.company = self

    def companion_for(self, type: str) -> Companion:
        self.asked_for.append(type)
        call: Call = self.bench.claims.call_of(self.request)
        return Companion(call, 0, lambda _, answer, notice: self.landed.append((answer, notice)))

    def claimed(self) -> ClaimedJobs:
        """Return what the last claim got."""
        answer = self.landed[-1][0]
        assert answer is not None
        assert not isinstance(answer, JobQueueError)
        return self.bench.claims.read(self.request, answer)


def test_a_job_and_the_claim_that_waits_for_it_take_one_round_trip(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    noticed: list[str] = []
    bench.commands.on_stored = noticed.append
    waits = OneWaits(bench, ClaimRequest("executor-1"))
    monkeypatch.setattr(bench.scripts, "call", None)
    submitted = bench.commands.submit([new_job()])
    assert [each.job.id for each in waits.claimed().jobs] == submitted.job_ids
    assert (waits.asked_for, waits.landed[0][1], noticed) == (["demo"], "1 demo 1", [])


def test_several_jobs_are_stored_without_a_claim(bench: Bench) -> None:
    noticed: list[str] = []
    bench.commands.on_stored = noticed.append
    waits = OneWaits(bench, ClaimRequest("executor-1"))
    bench.submit(2)
    assert (waits.asked_for, noticed) == ([], ["2 demo 2"])


def test_a_claim_goes_on_when_the_job_is_refused(bench: Bench) -> None:
    (older,) = bench.submit()
    full = Bench(bench.client, Policy(max_pending=1))
    waits = OneWaits(full, ClaimRequest("executor-1"))
    with pytest.raises(QueueFull):
        full.submit()
    assert [each.job.id for each in waits.claimed().jobs] == [older]
    assert waits.landed[0][1] == ""


def test_a_job_that_was_stored_before_is_not_announced_again(bench: Bench) -> None:
    waits = OneWaits(bench, ClaimRequest("executor-1"))
    first, again = (bench.commands.submit([new_job()], "submit:key") for _ in range(2))
    assert (first.job_ids, again.replayed) == (again.job_ids, True)
    assert [notice for _, notice in waits.landed] == ["1 demo 1", ""]
    assert waits.claimed().jobs == []


def test_a_claim_asks_again_when_the_exchange_has_failed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fall_silent(_: object) -> list[Answer]:
        raise StoreUnavailable

    waits = OneWaits(bench, ClaimRequest("executor-1"))
    monkeypatch.setattr(bench.scripts, "call_many", fall_silent)
    with pytest.raises(StoreUnavailable):
        bench.submit()
    assert waits.landed == [(None, "")]

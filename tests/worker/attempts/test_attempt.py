"""An attempt is told to end from any thread, for one cause; what its program says is told on until it was heard."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue.client.claims import ClaimedJob
from jobqueue.output import LIVE_BYTES
from jobqueue.worker.attempts.attempt import Attempt, Cause, LiveOutput
from jobqueue.worker.slots.slot import Slot
from tests.support.processes import wait_for_pids, wait_until_gone
from tests.support.programs import FOREVER, SHELL, Stage
from tests.support.slots import open_slot

JOB = ClaimedJob("id-1", "http://host/program", "ab" * 32, [], {}, "token-1", 60_000)


@pytest.fixture
def place() -> Iterator[Slot]:
    with closing(open_slot()) as slot:
        yield slot


@pytest.fixture
def attempt(place: Slot) -> Attempt:
    return Attempt(JOB, place)


def test_nothing_ends_an_attempt_at_first(attempt: Attempt) -> None:
    assert not attempt.stopped.is_set()
    assert attempt.cause is None


@pytest.mark.parametrize("cause", list(Cause))
def test_a_stop_says_why(attempt: Attempt, cause: Cause) -> None:
    attempt.stop(cause)
    assert attempt.stopped.is_set()
    assert attempt.cause is cause


@pytest.mark.parametrize(
    ("first", "second", "counts"),
    [
        (Cause.CANCELLED, Cause.SHUTDOWN, Cause.CANCELLED),
        (Cause.SHUTDOWN, Cause.CANCELLED, Cause.SHUTDOWN),
        (Cause.CANCELLED, Cause.LEASE_LOST, Cause.LEASE_LOST),
        (Cause.SHUTDOWN, Cause.LEASE_LOST, Cause.LEASE_LOST),
        (Cause.LEASE_LOST, Cause.CANCELLED, Cause.LEASE_LOST),
        (Cause.LEASE_LOST, Cause.SHUTDOWN, Cause.LEASE_LOST),
    ],
)
def test_the_first_cause_counts_but_a_lost_lease_always_does(
    attempt: Attempt, first: Cause, second: Cause, counts: Cause
) -> None:
    attempt.stop(first)
    attempt.stop(second)
    assert attempt.cause is counts


def test_of_many_causes_at_once_a_lost_lease_counts(attempt: Attempt) -> None:
    causes = [Cause.CANCELLED, Cause.SHUTDOWN] * 8 + [Cause.LEASE_LOST] + [Cause.CANCELLED] * 8
    with ThreadPoolExecutor(len(causes)) as pool:
        list(pool.map(attempt.stop, causes))
    assert attempt.cause is Cause.LEASE_LOST


def test_a_stop_kills_what_runs(attempt: Attempt, place: Slot, tmp_path: Path) -> None:
    stage = Stage(place, tmp_path)
    running = stage.begin_launch(stage.launch(FOREVER, tmp_path / "pids"), stopped=attempt.stopped)
    pids = wait_for_pids(tmp_path / "pids", 1)
    attempt.stop(Cause.LEASE_LOST)
    assert running.result(10).stopped
    wait_until_gone(pids)


def test_with_a_grace_a_program_is_asked_first(attempt: Attempt, place: Slot, tmp_path: Path) -> None:
    script = SHELL + "trap 'exit 7' TERM\necho $$ > $1\nwhile :; do sleep 0.05; done"
    stage = Stage(place, tmp_path)
    running = stage.begin_launch(stage.launch(script, tmp_path / "pids"), stopped=attempt.stopped)
    wait_for_pids(tmp_path / "pids", 1)
    attempt.stop(Cause.CANCELLED, 60)
    outcome = running.result(20)
    assert (outcome.stopped, outcome.exit_code) == (True, 7)


def test_an_attempt_that_is_over_does_not_end_the_next_in_its_slot(
    attempt: Attempt, place: Slot, tmp_path: Path
) -> None:
    stage = Stage(place, tmp_path)
    waiting = SHELL + 'echo $$ > "$1"; until [ -e "$2" ]; do sleep 0.05; done'
    running = stage.begin(waiting, tmp_path / "pids", tmp_path / "go")
    wait_for_pids(tmp_path / "pids", 1)
    attempt.stop(Cause.LEASE_LOST)
    (tmp_path / "go").touch()
    assert not running.result(10).stopped


def test_what_was_stopped_before_it_began_does_not_begin(attempt: Attempt, place: Slot, tmp_path: Path) -> None:
    attempt.stop(Cause.SHUTDOWN)
    launch = Stage(place, tmp_path).launch(SHELL + "exit 0")
    outcome = place.run(launch, attempt.stopped)
    assert (outcome.stopped, outcome.exit_code) == (True, None)


def test_nothing_new_is_nothing_to_tell() -> None:
    live = LiveOutput()
    live.add({"stdout": None, "stderr": None})
    assert not live.pending
    assert live.peek() == {}


def test_what_came_is_told_by_stream_with_where_it_goes_on() -> None:
    live = LiveOutput()
    live.add({"stdout": (0, "one "), "stderr": None})
    live.add({"stdout": (4, "two ü"), "stderr": (7, "err")})
    assert live.pending
    assert live.peek() == {"stdout": {"offset": 0, "data": "one two ü"}, "stderr": {"offset": 7, "data": "err"}}


def test_what_was_not_heard_is_told_again() -> None:
    live = LiveOutput()
    live.add({"stdout": (0, "one ")})
    first = live.peek()
    live.add({"stdout": (4, "two")})
    assert first == {"stdout": {"offset": 0, "data": "one "}}
    assert live.peek() == {"stdout": {"offset": 0, "data": "one two"}}


def test_what_was_heard_is_forgotten_and_what_came_meanwhile_is_not() -> None:
    live = LiveOutput()
    live.add({"stdout": (0, "é one ")})
    told = live.peek()
    live.add({"stdout": (7, "two")})
    live.forget(told)
    assert live.peek() == {"stdout": {"offset": 7, "data": "two"}}
    live.forget(live.peek())
    assert not live.pending
    assert live.peek() == {}
    live.add({"stdout": (10, "three")})
    assert live.peek() == {"stdout": {"offset": 10, "data": "three"}}


def test_after_a_gap_it_begins_anew() -> None:
    """What a program wrote faster than it could be shown is not there."""
    live = LiveOutput()
    live.add({"stdout": (0, "one")})
    told = live.peek()
    live.add({"stdout": (1000, "two")})
    assert live.peek() == {"stdout": {"offset": 1000, "data": "two"}}
    live.forget(told)
    assert live.peek() == {"stdout": {"offset": 1000, "data": "two"}}


@pytest.mark.parametrize("character", ["x", "é", "漢", "🎉"])
def test_only_the_latest_part_is_kept_and_never_half_a_character(character: str) -> None:
    live = LiveOutput()
    offset = 0
    for piece in (character * 100_000, "abc", character * 100_000):
        live.add({"stdout": (offset, piece)})
        offset += len(piece.encode())
    told = live.peek()["stdout"]
    kept = told["data"].encode()
    assert LIVE_BYTES - 3 <= len(kept) <= LIVE_BYTES or offset <= LIVE_BYTES
    assert told["offset"] + len(kept) == offset
    assert kept == (character * 100_000 + "abc" + character * 100_000).encode()[-len(kept) :]


def test_what_was_heard_is_forgotten_although_its_beginning_is_gone() -> None:
    live = LiveOutput()
    live.add({"stdout": (0, "a" * LIVE_BYTES)})
    told = live.peek()
    live.add({"stdout": (LIVE_BYTES, "b" * 10)})
    live.forget(told)
    assert live.peek() == {"stdout": {"offset": LIVE_BYTES, "data": "b" * 10}}


def test_whoever_waits_for_output_hears_that_some_came() -> None:
    live, heard = LiveOutput(), threading.Event()
    live.on_arrival = heard.set
    threading.Timer(0.01, live.add, [{"stdout": (0, "x")}]).start()
    begun = time.monotonic()
    assert heard.wait(10)
    assert live.pending
    assert time.monotonic() - begun < 5


TEXTS = st.text("aé漢🎉", min_size=1, max_size=4)


@given(st.lists(st.one_of(TEXTS, st.just(None), st.just(True))))
def test_whenever_it_is_told_and_heard_what_is_told_is_what_was_written(steps: list[str | bool | None]) -> None:
    """A text is written, None is a beat whose answer got lost, True one that was answered."""
    live, written, heard = LiveOutput(), "", b""
    for step in steps:
        if isinstance(step, str):
            live.add({"stdout": (len(written.encode()), step)})
            written += step
            continue
        told = live.peek()
        for piece in told.values():
            assert piece["offset"] == len(heard)
        if step:
            heard += b"".join(piece["data"].encode() for piece in told.values())
            live.forget(told)
    rest = "".join(piece["data"] for piece in live.peek().values())
    assert heard.decode() + rest == written

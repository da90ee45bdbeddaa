"""The latest output of a running program is sent until the API has answered for it."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue.output import LIVE_BYTES
from jobqueue.worker.attempts.live_output import LiveOutput


def test_nothing_is_pending_without_new_output() -> None:
    live = LiveOutput()
    live.add({})
    assert not live.pending
    assert live.peek() == {}


def test_new_output_is_sent_by_stream_with_its_offset() -> None:
    live = LiveOutput()
    live.add({"stdout": (0, "one ")})
    live.add({"stdout": (4, "two ü"), "stderr": (7, "err")})
    assert live.pending
    assert live.peek() == {"stdout": {"offset": 0, "data": "one two ü"}, "stderr": {"offset": 7, "data": "err"}}


def test_output_that_was_not_answered_for_is_sent_again() -> None:
    live = LiveOutput()
    live.add({"stdout": (0, "one ")})
    first = live.peek()
    live.add({"stdout": (4, "two")})
    assert first == {"stdout": {"offset": 0, "data": "one "}}
    assert live.peek() == {"stdout": {"offset": 0, "data": "one two"}}


def test_answered_output_is_forgotten_and_output_that_came_meanwhile_is_not() -> None:
    live = LiveOutput()
    live.add({"stdout": (0, "é one ")})
    sent = live.peek()
    live.add({"stdout": (7, "two")})
    live.forget(sent)
    assert live.peek() == {"stdout": {"offset": 7, "data": "two"}}
    live.forget(live.peek())
    assert not live.pending
    assert live.peek() == {}
    live.add({"stdout": (10, "three")})
    assert live.peek() == {"stdout": {"offset": 10, "data": "three"}}


def test_live_output_begins_anew_after_a_gap() -> None:
    """The supervisor leaves out what a program writes faster than it can be sent."""
    live = LiveOutput()
    live.add({"stdout": (0, "one")})
    sent = live.peek()
    live.add({"stdout": (1000, "two")})
    assert live.peek() == {"stdout": {"offset": 1000, "data": "two"}}
    live.forget(sent)
    assert live.peek() == {"stdout": {"offset": 1000, "data": "two"}}


@pytest.mark.parametrize("character", ["x", "é", "漢", "🎉"])
def test_only_the_latest_output_is_kept_and_never_half_a_character(character: str) -> None:
    live = LiveOutput()
    offset = 0
    for piece in (character * 100_000, "abc", character * 100_000):
        live.add({"stdout": (offset, piece)})
        offset += len(piece.encode())
    sent = live.peek()["stdout"]
    kept = sent["data"].encode()
    assert LIVE_BYTES - 3 <= len(kept) <= LIVE_BYTES or offset <= LIVE_BYTES
    assert sent["offset"] + len(kept) == offset
    assert kept == (character * 100_000 + "abc" + character * 100_000).encode()[-len(kept) :]


def test_answered_output_is_forgotten_although_its_beginning_is_gone() -> None:
    live = LiveOutput()
    live.add({"stdout": (0, "a" * LIVE_BYTES)})
    sent = live.peek()
    live.add({"stdout": (LIVE_BYTES, "b" * 10)})
    live.forget(sent)
    assert live.peek() == {"stdout": {"offset": LIVE_BYTES, "data": "b" * 10}}


def test_a_waiting_thread_is_woken_when_output_arrives() -> None:
    live, arrived = LiveOutput(), threading.Event()
    live.on_arrival = arrived.set
    threading.Timer(0.01, live.add, [{"stdout": (0, "x")}]).start()
    begun = time.monotonic()
    assert arrived.wait(10)
    assert live.pending
    assert time.monotonic() - begun < 5


TEXTS = st.text("aé漢🎉", min_size=1, max_size=4)


@given(st.lists(st.one_of(TEXTS, st.just(None), st.just(True))))
def test_output_that_is_sent_and_answered_at_any_time_is_what_was_written(steps: list[str | bool | None]) -> None:
    """A text is written; None is a heartbeat whose answer was lost, True one that was answered."""
    live, written, received = LiveOutput(), "", b""
    for step in steps:
        if isinstance(step, str):
            live.add({"stdout": (len(written.encode()), step)})
            written += step
            continue
        sent = live.peek()
        for piece in sent.values():
            assert piece["offset"] == len(received)
        if step:
            received += b"".join(piece["data"].encode() for piece in sent.values())
            live.forget(sent)
    rest = "".join(piece["data"] for piece in live.peek().values())
    assert received.decode() + rest == written

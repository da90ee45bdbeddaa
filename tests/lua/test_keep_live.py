"""`lua/lib/leases/keep_live.lua`: the latest output of a running program is put together from heartbeats."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobqueue.output import LIVE_BYTES
from jobqueue.queue.scripts import ROOT
from jobqueue.result import LiveOutput, Piece
from tests.support.attempts import Attempt, claim, let_leases_end, start
from tests.support.bench import Bench
from tests.support.logins import connect_as_administrator


def report(bench: Bench, attempt: Attempt, *pieces: tuple[int, str]) -> tuple[str | None, int]:
    """Report these pieces of stdout, one heartbeat each. Return the text that is stored, and its offset."""
    for piece in pieces:
        bench.claims.heartbeat(attempt.job_id, attempt.holder, LiveOutput(Piece(*piece)))
    return stored(bench, attempt.job_id)


def stored(bench: Bench, job_id: str, stream: str = "stdout") -> tuple[str | None, int]:
    text, begin = bench.client.hmget(f"{ROOT}:live:{job_id}", stream, f"{stream}_offset")
    assert text is None or isinstance(text, str)
    return text, int(begin or 0)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([(0, "one")], ("one", 0)),
        ([(0, "one"), (3, "two")], ("onetwo", 0)),
        ([(0, "one"), (0, "one")], ("one", 0)),
        ([(0, "one"), (0, "onetwo")], ("onetwo", 0)),
        ([(0, "one"), (2, "etwo")], ("onetwo", 0)),
        ([(0, "one"), (1, "n")], ("one", 0)),
        ([(0, "one"), (3, "")], ("one", 0)),
        ([(0, "")], (None, 0)),
        ([(0, "one"), (4, "two")], ("two", 4)),
        ([(7, "one")], ("one", 7)),
        ([(7, "one"), (10, "two")], ("onetwo", 7)),
        ([(7, "one"), (0, "ignored")], ("one", 7)),
        ([(7, "one"), (0, "1234567onetwo")], ("onetwo", 7)),
        ([(7, "one"), (20, "")], ("", 20)),
        ([(0, "é"), (2, "漢"), (5, "🎉")], ("é漢🎉", 0)),
        ([(0, "é"), (0, "é漢")], ("é漢", 0)),
        ([(0, "é"), (1, "漢")], ("漢", 1)),
        ([(0, "a\0b"), (3, "\0\r\n")], ("a\0b\0\r\n", 0)),
        ([(2**53 - 1, "one")], ("one", 2**53 - 1)),
    ],
)
def test_pieces_are_put_together_by_their_offsets(
    bench: Bench, pieces: Sequence[tuple[int, str]], expected: tuple[str | None, int]
) -> None:
    assert report(bench, start(bench), *pieces) == expected


def test_the_streams_are_kept_apart(bench: Bench) -> None:
    attempt = start(bench)
    both = LiveOutput(Piece(0, "out"), Piece(5, "err"))
    bench.claims.heartbeat(attempt.job_id, attempt.holder, both)
    bench.claims.heartbeat(attempt.job_id, attempt.holder, LiveOutput(stderr=Piece(8, "or")))
    assert stored(bench, attempt.job_id, "stdout") == ("out", 0)
    assert stored(bench, attempt.job_id, "stderr") == ("error", 5)


def test_the_latest_part_of_a_long_output_is_kept(bench: Bench) -> None:
    attempt = start(bench)
    assert report(bench, attempt, (0, "x" * LIVE_BYTES)) == ("x" * LIVE_BYTES, 0)
    assert report(bench, attempt, (LIVE_BYTES, "yz")) == ("x" * (LIVE_BYTES - 2) + "yz", 2)
    assert report(bench, attempt, (LIVE_BYTES + 2, "a" * 1024 * 1024)) == ("a" * LIVE_BYTES, 1024 * 1024 + 2)


@pytest.mark.parametrize("character", ["é", "漢", "🎉"])
@pytest.mark.parametrize("more", [0, 1, 2, 3, 4, 5])
def test_live_output_never_begins_inside_a_character(bench: Bench, character: str, more: int) -> None:
    size = len(character.encode())
    attempt = start(bench)
    text = character * (LIVE_BYTES // size) + "x" * more
    live, begin = report(bench, attempt, (0, text))
    assert live is not None
    assert text.encode()[begin:] == live.encode()
    assert LIVE_BYTES - size < len(live.encode()) <= LIVE_BYTES


@settings(deadline=None, max_examples=40)
@given(
    text=st.text(st.characters(codec="utf-8", categories=["L", "S"]), min_size=1, max_size=40),
    cuts=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8),
)
def test_stored_live_output_is_always_a_part_of_the_stream(
    server_url: str, text: str, cuts: list[tuple[int, int]]
) -> None:
    with connect_as_administrator(server_url) as client:
        client.flushall()
        bench = Bench(client)
        attempt = start(bench)
        pieces = [(len(text[:first].encode()), text[first:last]) for first, last in cuts]
        live, begin = report(bench, attempt, *pieces)
    assert text.encode()[begin:].startswith((live or "").encode())


def test_a_new_attempt_begins_with_nothing(bench: Bench) -> None:
    lost = start(bench)
    report(bench, lost, (0, "lost"))
    let_leases_end(bench)
    assert stored(bench, lost.job_id) == (None, 0)
    assert report(bench, claim(bench), (0, "again")) == ("again", 0)

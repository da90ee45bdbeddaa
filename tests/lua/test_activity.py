"""`lua/activity.lua`: the record of activity, page by page, whatever is recorded meanwhile."""

from __future__ import annotations

from jobqueue.queue.records.activity import NOBODY
from jobqueue.queue.scripts import ROOT
from tests.support.bench import Bench


def record(bench: Bench, *actions: str) -> None:
    for action in actions:
        bench.commands.record(NOBODY, action)


def page(bench: Bench, cursor: int | None) -> tuple[str, int]:
    """Return the actions of a page of two, and the next cursor."""
    found = bench.queries.activity(2, cursor)
    return "".join(entry.action for entry in found.entries), found.next_cursor


def test_an_empty_record_has_no_entries(bench: Bench) -> None:
    assert page(bench, None) == page(bench, 5) == ("", 0)


def test_a_walk_shows_each_entry_once_whatever_is_recorded_meanwhile(bench: Bench) -> None:
    record(bench, *"abcde")
    first, cursor = page(bench, None)
    record(bench, *"fgh")
    second, cursor = page(bench, cursor)
    record(bench, "i")
    third, end = page(bench, cursor)
    assert (first, second, third, end) == ("ed", "cb", "a", 0)


def test_a_walk_ends_where_entries_have_been_dropped(bench: Bench) -> None:
    record(bench, *"abcde")
    _, cursor = page(bench, None)
    bench.client.ltrim(f"{ROOT}:activity", -1, -1)
    assert page(bench, cursor) == ("", 0)


def test_a_cursor_from_the_future_begins_at_the_newest(bench: Bench) -> None:
    record(bench, *"ab")
    assert page(bench, 10**15 - 1) == ("ba", 0)

"""`lua/record.lua` and what cancels record: who did what, the newest entries only."""

from __future__ import annotations

import pytest

from jobqueue.queue.records.activity import Activity, Who
from jobqueue.queue.scripts import ROOT
from tests.support.attempts import start
from tests.support.bench import Bench
from tests.support.clock import START_MS

CI = Who("ci", "10.0.0.7")


def recorded(bench: Bench) -> list[Activity]:
    return bench.queries.activity(1000).entries


def test_what_was_done_is_recorded_with_who_did_it(bench: Bench) -> None:
    bench.commands.record(CI, "pause", 3, "render")
    bench.clock.advance(5)
    bench.commands.record(Who(), "refused")
    assert recorded(bench) == [
        Activity(START_MS + 5, Who(), "refused", None, 1),
        Activity(START_MS, CI, "pause", "render", 3),
    ]


def test_a_cancel_is_recorded_with_its_job(bench: Bench) -> None:
    [job_id] = bench.submit()
    bench.commands.cancel(job_id, who=CI)
    assert recorded(bench) == [Activity(START_MS, CI, "cancel", job_id, 1)]


def test_a_bulk_cancel_is_one_entry_that_counts_what_was_cancelled(bench: Bench) -> None:
    running = start(bench)
    bench.commands.cancel_many([*bench.submit(3), running.job_id, "no-id"], CI)
    assert recorded(bench) == [Activity(START_MS, CI, "cancel", None, 3)]


def test_a_running_job_that_is_asked_to_stop_is_recorded_once(bench: Bench) -> None:
    running = start(bench)
    for _ in range(3):
        bench.commands.cancel(running.job_id, force=True, who=CI)
    assert recorded(bench) == [Activity(START_MS, CI, "cancel_running", running.job_id, 1)]


def test_a_refused_cancel_is_not_recorded(bench: Bench) -> None:
    running = start(bench)
    bench.commands.cancel_many([running.job_id], CI)
    assert recorded(bench) == []


@pytest.mark.parametrize("text", ["two words", "a\nb", "\t", "", "x" * 1000])
def test_no_text_can_break_an_entry_or_make_it_long(bench: Bench, text: str) -> None:
    bench.commands.record(Who(text, text), "test", target=text)
    [entry] = recorded(bench)
    assert entry.action == "test"
    assert len(str(bench.client.lindex(f"{ROOT}:activity", 0))) < 450


def test_only_the_newest_ten_thousand_entries_are_kept(bench: Bench) -> None:
    bench.client.rpush(f"{ROOT}:activity", *(f"1 - - old {number} 1" for number in range(10_000)))
    bench.client.hset(f"{ROOT}:counters", "activity", 10_000)
    bench.commands.record(CI, "newest")
    page = bench.queries.activity(10_000)
    assert (page.total, len(page.entries), page.next_cursor) == (10_000, 10_000, 0)
    assert (page.entries[0].action, page.entries[-1].target) == ("newest", "1")

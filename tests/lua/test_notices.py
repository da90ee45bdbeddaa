"""`lua/lib/store/notify.lua`: what servers are told while they wait, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis

from jobqueue.job import Reason
from jobqueue.queue.policy import Policy
from jobqueue.result import LiveOutput, Piece
from tests.support.attempts import BROKEN, DONE, claim, let_leases_end, start
from tests.support.bench import Bench, new_job

Notices = list[tuple[str, str]]


@contextmanager
def noticed(bench: Bench) -> Iterator[Notices]:
    """The notices that are published meanwhile, as channels without the root, with their texts; complete at the end."""
    notices: Notices = []
    with bench.client.pubsub() as listener:  # type: ignore[no-untyped-call]
        listener.psubscribe("{jobqueue}*")
        listener.get_message(timeout=1)
        yield notices
        bench.client.publish("{jobqueue}:end", "")
        while (message := listener.get_message(timeout=1))["channel"] != "{jobqueue}:end":
            notices.append((message["channel"].removeprefix("{jobqueue}:"), message["data"]))


def test_a_submit_announces_how_many_jobs_of_each_type_there_are(bench: Bench) -> None:
    with noticed(bench) as notices:
        bench.submit(3, type="render")
    assert notices == [("work", "3 render 3")]
    with noticed(bench) as notices:
        bench.commands.submit([new_job(type="a"), new_job(type="b")])
    assert sorted(notices[0][1].split()) == ["1", "1", "5", "a", "b"]


def test_the_process_that_stores_jobs_gets_their_notice_from_the_answer_and_none_of_a_replay(bench: Bench) -> None:
    from_the_answer: list[str] = []
    bench.commands.on_stored = from_the_answer.append
    with noticed(bench) as notices:
        for _ in range(2):
            bench.commands.submit([new_job(), new_job()], "submit:key")
    assert [("work", text) for text in from_the_answer] == notices == [("work", "2 demo 2")]


def test_a_job_that_was_released_or_lost_is_announced_and_so_is_the_end_of_a_delay(bench: Bench) -> None:
    released = start(bench)
    with noticed(bench) as notices:
        bench.claims.release(released.job_id, released.holder)
    assert notices == [("work", "1 demo 1")]
    claim(bench)
    with noticed(bench) as notices:
        let_leases_end(bench)
    assert notices == [("work", "1 demo 1")]
    faulty = claim(bench)
    with noticed(bench) as notices:
        bench.claims.release(faulty.job_id, faulty.holder, Reason.EXEC_FAILED)
    assert notices == []  # nobody may have it yet
    bench.clock.advance(5000)
    with noticed(bench) as notices:
        bench.commands.sweep()
    assert notices == [("work", "1 demo 1")]


def complete(bench: Bench) -> str:
    attempt = claim(bench)
    bench.claims.complete(attempt.job_id, attempt.holder, DONE)
    return attempt.job_id


def fail(bench: Bench) -> str:
    attempt = claim(bench)
    bench.claims.fail(attempt.job_id, attempt.holder, BROKEN)
    return attempt.job_id


def lose_the_last_executor(bench: Bench) -> str:
    attempt = claim(bench)
    let_leases_end(bench)
    return attempt.job_id


@pytest.mark.parametrize("end", [complete, fail, lose_the_last_executor])
def test_the_end_of_a_job_is_announced_once(client: redis.Redis, end: Callable[[Bench], str]) -> None:
    bench = Bench(client, Policy(max_attempts=1))
    bench.submit()
    with noticed(bench) as notices:
        job_id = end(bench)
    assert notices == [(f"job:{job_id}", "ended")]


def test_a_cancelled_job_and_new_output_are_announced(bench: Bench) -> None:
    attempt = start(bench)
    [pending] = bench.submit()
    with noticed(bench) as notices:
        bench.commands.cancel(pending)
        bench.claims.heartbeat(attempt.job_id, attempt.holder)
        for _ in range(2):  # the second one brings nothing new
            bench.claims.heartbeat(attempt.job_id, attempt.holder, LiveOutput(Piece(0, "text")))
    assert notices == [(f"job:{pending}", "ended"), (f"job:{attempt.job_id}", "output")]


def test_a_login_that_may_not_publish_can_use_the_queue_all_the_same(real_bench: Bench) -> None:
    client = real_bench.client
    client.acl_setuser("mute", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all"], reset=True)
    try:
        options = client.connection_pool.connection_kwargs["address"]
        with redis.Redis(
            unix_socket_path=options.path, username="mute", password="secret", decode_responses=True
        ) as mute:
            bench = Bench(mute)
            assert bench.submit() == [complete(bench)]
    finally:
        client.acl_deluser("mute")

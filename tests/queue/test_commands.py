"""The verbs of `queue/commands.py` and `queue/claims.py`: each fails when Redis is away, and is logged in one line."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from contextlib import suppress

import pytest
from structlog.typing import EventDict

from jobqueue.errors import JobNotFound, JobQueueError, NotRunning, StoreUnavailable
from jobqueue.queue.connection import connect
from jobqueue.result import Holder
from tests.support.attempts import BROKEN, DONE, claim, lose, start
from tests.support.bench import Bench, new_job
from tests.support.redis_proxy import Proxy

HOLDER = Holder("executor-1", "a token")
VERBS: dict[str, Callable[[Bench], object]] = {
    "submit": lambda bench: bench.commands.submit([new_job()]),
    "claim": lambda bench: bench.claims.claim("executor-1", None),
    "heartbeat": lambda bench: bench.claims.heartbeat("any", HOLDER),
    "complete": lambda bench: bench.claims.complete("any", HOLDER, DONE),
    "fail": lambda bench: bench.claims.fail("any", HOLDER, BROKEN),
    "release": lambda bench: bench.claims.release("any", HOLDER),
    "cancel": lambda bench: bench.commands.cancel("any"),
    "cancel_many": lambda bench: bench.commands.cancel_many(["any"]),
    "sweep": lambda bench: bench.commands.sweep(),
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_raises_store_unavailable_when_redis_is_away(proxy: Proxy, verb: str) -> None:
    proxy.away = True
    with connect(proxy.url) as client, pytest.raises(StoreUnavailable):
        VERBS[verb](Bench(client))


@pytest.mark.parametrize("is_away", [False, True])
@pytest.mark.parametrize("verb", ["heartbeat", "complete", "release", "cancel"])
def test_an_error_keeps_nothing_of_its_request_in_memory(proxy: Proxy, verb: str, is_away: bool) -> None:
    """The garbage collector would free it, hundreds of megabytes later: a request may hold a body of 12 MiB."""

    class Body:
        """What a request holds."""

    def request() -> weakref.ref[Body]:
        body = Body()
        bodies.append(weakref.ref(body))
        VERBS[verb](bench)
        return bodies[0]

    bodies: list[weakref.ref[Body]] = []
    with connect("redis://127.0.0.1:1" if is_away else proxy.url) as client:
        bench = Bench(client)
        gc.disable()
        try:
            with suppress(JobQueueError):
                request()
            assert bodies[0]() is None
        finally:
            gc.enable()


def test_every_change_is_logged_under_its_verb(real_bench: Bench, logged: list[EventDict]) -> None:
    completed = start(real_bench)
    real_bench.claims.complete(completed.job_id, completed.holder, DONE)
    failed = start(real_bench)
    real_bench.claims.fail(failed.job_id, failed.holder, BROKEN)
    [cancelled] = real_bench.submit()
    real_bench.commands.cancel(cancelled)
    stopped = start(real_bench)
    real_bench.commands.cancel(stopped.job_id, force=True)
    real_bench.claims.release(stopped.job_id, stopped.holder)
    lose(real_bench)
    verbs = ["submit", "claim", "complete", "submit", "claim", "fail", "submit", "cancel"]
    verbs += ["submit", "claim", "cancel", "release", "submit", "claim", "sweep"]
    assert [event["event"] for event in logged] == verbs


def test_a_bulk_is_logged_in_one_line(real_bench: Bench, logged: list[EventDict]) -> None:
    job_ids = real_bench.submit(5)
    [line] = logged
    assert (line["event"], line["count"], line["job_ids"]) == ("submit", 5, " ".join(job_ids[:3]))


def test_a_refused_change_is_not_logged(real_bench: Bench, logged: list[EventDict]) -> None:
    [job_id] = real_bench.submit()
    logged.clear()
    with pytest.raises(NotRunning):
        real_bench.claims.complete(job_id, HOLDER, DONE)
    with pytest.raises(JobNotFound):
        real_bench.commands.cancel("no-such-job")
    real_bench.commands.sweep()
    assert logged == []


def test_no_token_and_no_output_is_ever_logged(real_bench: Bench, logged: list[EventDict]) -> None:
    real_bench.submit()
    attempt = claim(real_bench)
    real_bench.claims.complete(attempt.job_id, attempt.holder, DONE)
    assert attempt.holder.attempt_token not in repr(logged)
    assert DONE.stderr not in [value for event in logged for value in event.values()]


def test_tokens_are_long_and_never_the_same(real_bench: Bench) -> None:
    real_bench.submit(50)
    tokens = {claim(real_bench).holder.attempt_token for _ in range(50)}
    assert len(tokens) == 50
    assert {len(token) for token in tokens} == {32}


def test_a_claim_returns_how_long_the_executor_may_be_silent(real_bench: Bench) -> None:
    real_bench.submit()
    claimed = real_bench.claims.claim("executor-1", None)
    assert claimed is not None
    assert claimed.lease_ms == real_bench.policy.lease_ms

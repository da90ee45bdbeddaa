"""`queue/sweeper.py`: the sweeper needs no requests to sweep, and survives every error."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis
from structlog.testing import capture_logs
from structlog.typing import EventDict

from jobqueue.job import Status
from jobqueue.queue.claims import Claims
from jobqueue.queue.commands import SWEEP_LIMIT, Commands, Swept
from jobqueue.queue.connection import connect
from jobqueue.queue.policy import Policy
from jobqueue.queue.scripts import ROOT
from jobqueue.queue.sweeper import Sweeper
from tests.support.attempts import claim, start, status_of
from tests.support.bench import Bench
from tests.support.redis_proxy import Proxy
from tests.support.waiting import TIME_LIMIT_SECONDS, wait_until

NEVER_SECONDS = 600.0


@contextmanager
def sweeping(bench: Bench, interval_seconds: float) -> Iterator[Sweeper]:
    sweeper = Sweeper(bench.commands, bench.connection, interval_seconds)
    sweeper.start()
    try:
        yield sweeper
    finally:
        sweeper.stop()


def swept_at_ms(client: redis.Redis) -> int:
    return int(client.hget(f"{ROOT}:sweep", "swept_at_ms") or 0)


def test_a_due_lease_is_ended_without_any_request(real_bench: Bench) -> None:
    attempt = start(real_bench)
    with sweeping(real_bench, 0.005):
        for _ in range(2):
            real_bench.clock.advance(real_bench.policy.lease_ms // 2)
            wait_until("a sweep", lambda: swept_at_ms(real_bench.client) == real_bench.clock.now_ms)
        wait_until("the job is pending", lambda: status_of(real_bench, attempt.job_id) is Status.PENDING)


def test_a_sweeper_sweeps_as_soon_as_it_is_started(real_bench: Bench) -> None:
    with sweeping(real_bench, NEVER_SECONDS):
        wait_until("the first sweep", lambda: swept_at_ms(real_bench.client) == real_bench.clock.now_ms)


def test_a_lease_is_ended_at_its_deadline_and_not_at_the_next_interval(real_client: redis.Redis) -> None:
    bench = Bench(real_client, Policy(lease_ms=100))
    bench.commands = Commands(bench.scripts, bench.policy)
    bench.claims = Claims(bench.scripts, bench.policy)  # with the clock of Redis
    with sweeping(bench, NEVER_SECONDS):
        wait_until("the first sweep", lambda: swept_at_ms(real_client) > 0)
        attempt = start(bench)
        bench.commands.sweep()  # the sweeper itself learns of the lease from its next sweep
        assert status_of(bench, attempt.job_id) is Status.RUNNING
    with sweeping(bench, NEVER_SECONDS):
        wait_until("the job is pending", lambda: status_of(bench, attempt.job_id) is Status.PENDING)


def test_pokes_cause_a_sweep_soon_but_not_one_each(real_bench: Bench) -> None:
    calls: list[None] = []
    sweep = real_bench.commands.sweep
    real_bench.commands.sweep = lambda: calls.append(None) or sweep()  # type: ignore[method-assign, func-returns-value]
    with sweeping(real_bench, NEVER_SECONDS) as sweeper:
        wait_until("the first sweep", lambda: len(calls) == 1)
        for _ in range(1000):
            sweeper.poke()
        wait_until("a sweep", lambda: len(calls) > 1)
    assert len(calls) < 20


def test_stopping_does_not_wait_for_the_interval_to_end(real_bench: Bench) -> None:
    with sweeping(real_bench, NEVER_SECONDS) as sweeper:
        wait_until("the first sweep", lambda: swept_at_ms(real_bench.client) > 0)
        stopping = threading.Thread(target=sweeper.stop)
        stopping.start()
        stopping.join(TIME_LIMIT_SECONDS)
        assert not stopping.is_alive()


def test_a_stopped_sweeper_has_no_thread(real_bench: Bench) -> None:
    with sweeping(real_bench, 0.005):
        wait_until("the first sweep", lambda: swept_at_ms(real_bench.client) > 0)
    assert "sweeper" not in {thread.name for thread in threading.enumerate()}


def test_more_than_one_sweep_s_limit_is_swept_at_once(real_bench: Bench) -> None:
    count = SWEEP_LIMIT * 2 + 50
    real_bench.submit(count)
    for _ in range(count):
        claim(real_bench)
    real_bench.clock.advance(real_bench.policy.lease_ms // 2)
    real_bench.commands.sweep()
    real_bench.clock.advance(real_bench.policy.lease_ms // 2)
    with sweeping(real_bench, NEVER_SECONDS):
        wait_until("all are pending", lambda: real_bench.queries.stats().by_status()[Status.PENDING] == count)


def test_two_sweepers_do_no_more_than_one(real_bench: Bench) -> None:
    attempt = start(real_bench)

    def is_pending_a_little_later() -> bool:
        real_bench.clock.advance(real_bench.policy.lease_ms // 8)
        wait_until("a sweep", lambda: swept_at_ms(real_bench.client) == real_bench.clock.now_ms)
        return status_of(real_bench, attempt.job_id) is Status.PENDING

    with sweeping(real_bench, 0.005), sweeping(real_bench, 0.005):
        wait_until("the job is pending", is_pending_a_little_later)
    assert len(real_bench.queries.get(attempt.job_id).attempts) == 1


def test_a_sweeper_survives_an_outage_which_is_logged_once(
    proxy: Proxy, logged: list[EventDict], real_client: redis.Redis
) -> None:
    with connect(proxy.url) as client:
        bench = Bench(client)
        with sweeping(bench, 0.005):
            wait_until("the first sweep", lambda: swept_at_ms(real_client) > 0)
            proxy.away = True
            wait_until("the outage is noticed", lambda: "redis_away" in names(logged))
            proxy.away = False
            bench.clock.advance(1)
            wait_until("the next sweep", lambda: swept_at_ms(real_client) == bench.clock.now_ms)
    events = names(logged)  # the outage may have hit the check of the eviction policy
    assert [name for name in events if name != "eviction_policy_unknown"] == ["redis_away", "redis_back"]


def names(logged: list[EventDict]) -> list[str]:
    return [event["event"] for event in logged]


def test_an_unsafe_eviction_policy_is_logged_once(configured: redis.Redis, logged: list[EventDict]) -> None:
    configured.config_set("maxmemory-policy", "volatile-lru")
    bench = Bench(configured)
    sweeper = Sweeper(bench.commands, bench.connection)
    sweeper.sweep()
    sweeper.sweep()
    [warning] = logged
    assert (warning["event"], warning["log_level"]) == ("eviction_policy_unsafe", "error")
    assert (warning["maxmemory_policy"], warning["needed"]) == ("volatile-lru", "noeviction")


def test_the_eviction_policy_is_checked_again_after_an_outage(
    configured: redis.Redis, proxy: Proxy, logged: list[EventDict]
) -> None:
    with connect(proxy.url) as client:
        bench = Bench(client)
        sweeper = Sweeper(bench.commands, bench.connection)
        sweeper.sweep()
        configured.config_set("maxmemory-policy", "allkeys-lru")
        proxy.away = True
        sweeper.sweep()
        proxy.away = False
        wait_until("the policy is logged", lambda: sweeper.sweep() or "eviction_policy_unsafe" in names(logged))


def test_a_safe_eviction_policy_is_not_logged(real_bench: Bench, logged: list[EventDict]) -> None:
    Sweeper(real_bench.commands, real_bench.connection).sweep()
    assert logged == []


class BrokenOnce(Commands):
    """Commands whose first sweep raises an unexpected error."""

    broken = True

    def sweep(self) -> Swept:
        if self.broken:
            self.broken = False
            raise ZeroDivisionError("by design")
        return super().sweep()


def test_an_unexpected_error_does_not_end_the_sweeper(real_bench: Bench, logged: list[EventDict]) -> None:
    real_bench.commands = BrokenOnce(real_bench.scripts, real_bench.policy, real_bench.clock)
    with sweeping(real_bench, 0.005):
        wait_until("the next sweep", lambda: swept_at_ms(real_bench.client) > 0)
    [fault] = logged
    assert (fault["event"], fault["reason"]) == ("sweep_failed", "by design")


@pytest.mark.parametrize(("counts", "more"), [((0, 0, 0), False), ((SWEEP_LIMIT, 0, 0), True), ((0, 0, 99), False)])
def test_more_is_due_when_a_limit_was_reached(counts: tuple[int, int, int], more: bool) -> None:
    assert Swept(*counts).more is more


def test_a_redis_that_hides_its_eviction_policy_is_swept(real_client: redis.Redis, redis_url: str) -> None:
    real_client.acl_setuser(
        "quiet", enabled=True, passwords=["+word"], keys=["*"], channels=["*"], categories=["+@all"], commands=["-info"]
    )
    parts = real_client.connection_pool.connection_kwargs
    with redis.Redis(
        unix_socket_path=parts["address"].path, username="quiet", password="word", decode_responses=True
    ) as client:
        bench = Bench(client)
        sweeper = Sweeper(bench.commands, bench.connection)
        with capture_logs() as logs:
            sweeper.sweep()
        assert [log["event"] for log in logs] == ["eviction_policy_unknown"]
        assert real_client.exists(f"{ROOT}:sweep")
    real_client.acl_deluser("quiet")


def test_a_redis_that_refuses_writes_is_logged_once(real_client: redis.Redis) -> None:
    bench = Bench(real_client)
    sweeper = Sweeper(bench.commands, bench.connection)
    sweeper.sweep()
    real_client.replicaof("127.0.0.1", "1")
    try:
        with capture_logs() as logs:
            sweeper.sweep()
            sweeper.sweep()
    finally:
        real_client.replicaof("NO", "ONE")
    assert [log["event"] for log in logs] == ["sweep_refused"]

"""A connection, or an address of the API, that passes nothing costs no lease, and no error ends the heartbeats."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from jobqueue.client.batches import Batches
from jobqueue.client.claimed_job import ClaimedJob
from jobqueue.client.transport import Transport
from jobqueue.worker.attempts.attempt import Attempt, StopPolicy
from jobqueue.worker.attempts.heartbeat import Heartbeats
from jobqueue.worker.slots.slot import Slot
from tests.support.fake_api import FakeApi
from tests.support.hosts import misbehaving, resolve_to, silent
from tests.support.waiting import wait_until


def heartbeats_on(connection: Batches) -> Heartbeats:
    heartbeats = Heartbeats(connection, StopPolicy(may_outlive_lease=False, kill_grace_seconds=1))
    heartbeats.start()
    return heartbeats


def attempt_in(slot: Slot, lease_ms: int) -> Attempt:
    return Attempt(ClaimedJob("job-1", "http://host/program", "ab" * 32, [], {}, "token-1", lease_ms), slot)


def test_an_address_that_passes_nothing_costs_no_lease(
    api: FakeApi, slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    with misbehaving(silent) as dead:
        resolve_to(monkeypatch, dead, api.url)
        heartbeats = heartbeats_on(Batches(Transport("http://api"), "executor-1"))
        attempt = attempt_in(slot, 3000)
        heartbeats.add(attempt)
        assert not attempt.stopped.wait(3.2)  # longer than the lease
        heartbeats.close()
    assert api.seen("heartbeat")


def test_an_unexpected_error_does_not_end_the_heartbeats_and_is_logged_once(
    api: FakeApi, connection: Batches, slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = 3
    send = Batches.heartbeat

    def fail_first(self: Batches, *arguments: object) -> object:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise AttributeError("settimeout")
        return send(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Batches, "heartbeat", fail_first)
    with capture_logs() as logs:
        heartbeats = heartbeats_on(connection)
        attempt = attempt_in(slot, 2000)
        heartbeats.add(attempt)
        wait_until("a heartbeat is answered", lambda: "heartbeat_answered" in [log["event"] for log in logs], 20)
        heartbeats.close()
    assert [log["event"] for log in logs] == ["crash", "heartbeat_unanswered", "heartbeat_answered"]
    assert not attempt.stopped.is_set()
    wait_until("the thread ends", lambda: not heartbeats.running, 10)

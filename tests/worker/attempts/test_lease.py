"""A lease says when to renew it and until when it is safe to go on, without a clock of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue.worker.attempts.lease import (
    KILL_FRACTION,
    LIVE_OUTPUT_SECONDS,
    MAX_INTERVAL_SECONDS,
    SAFE_FRACTION,
    Lease,
)
from jobqueue.worker.supervisor.messages import LeaseEnd

LEASE = Lease(seconds=9.0, sent_at=100.0)
LONG = Lease(seconds=600.0, sent_at=100.0)
OUTLIVED = Lease(seconds=9.0, sent_at=100.0, may_outlive_lease=True)


def due(lease: Lease, since: float, *, jitter: float = 1.0, answered: bool = True, output_waits: bool = False) -> float:
    return lease.next_heartbeat(since, jitter, answered, output_waits)


def test_a_lease_is_renewed_three_times_before_it_ends() -> None:
    assert due(LEASE, 101.0) == 104.0


def test_a_long_lease_is_renewed_every_few_seconds_all_the_same() -> None:
    """A cancel request waits for at most as long as one interval."""
    assert due(LONG, 101.0) == 101.0 + MAX_INTERVAL_SECONDS


def test_a_heartbeat_comes_a_little_sooner_so_that_workers_do_not_send_theirs_in_step() -> None:
    assert due(LEASE, 101.0, jitter=0.9) == pytest.approx(103.7)


def test_a_heartbeat_that_was_not_answered_is_sent_again_soon() -> None:
    assert due(LEASE, 101.0, answered=False) == 101.75


def test_new_output_makes_a_heartbeat_due_sooner_but_never_later() -> None:
    assert due(LONG, 101.0, output_waits=True) == 101.0 + LIVE_OUTPUT_SECONDS
    assert due(Lease(1.5, 100.0), 100.0, output_waits=True) == 100.5


def test_a_lease_is_over_before_another_executor_may_have_the_job() -> None:
    assert LEASE.safe_until == pytest.approx(100 + 9 * SAFE_FRACTION)
    assert not LEASE.is_over(LEASE.safe_until - 0.001)
    assert LEASE.is_over(LEASE.safe_until)
    assert LEASE.safe_until < 100 + 9


def test_the_supervisor_and_the_worker_agree_on_the_end_of_a_lease() -> None:
    assert LEASE.end(kill_grace_seconds=0.5) == LeaseEnd(LEASE.safe_until, LEASE.safe_until + 0.5)


def test_a_program_is_killed_before_another_executor_may_have_its_job_however_long_its_grace() -> None:
    end = LEASE.end(kill_grace_seconds=600)
    assert end is not None
    assert end.kill_at == pytest.approx(100 + 9 * KILL_FRACTION)
    assert end.kill_at < 100 + 9


def test_a_lease_that_may_be_outlived_has_no_end_for_the_supervisor() -> None:
    assert OUTLIVED.end(kill_grace_seconds=1) is None


def test_a_heartbeat_is_due_at_the_latest_when_the_lease_is_over() -> None:
    assert due(LEASE, 106.0) == LEASE.safe_until


def test_a_heartbeat_takes_no_longer_than_the_lease_is_safe() -> None:
    assert LEASE.request_seconds(101.0) == 3.0
    assert LEASE.request_seconds(106.2) == pytest.approx(1.0)


def test_a_lease_counts_from_when_the_heartbeat_that_renewed_it_was_sent() -> None:
    """Not from when its answer came: the API may have renewed the lease just after the request was sent."""
    assert LEASE.renewed(sent_at=103.0) == Lease(9.0, 103.0)
    assert LEASE.renewed(103.0).safe_until == pytest.approx(103 + 9 * SAFE_FRACTION)


def test_a_lease_that_may_be_outlived_is_renewed_as_usual_after_its_end() -> None:
    assert OUTLIVED.is_over(200.0)
    assert due(OUTLIVED, 200.0) == 203.0
    assert OUTLIVED.request_seconds(200.0) == 3.0
    assert OUTLIVED.renewed(200.0).may_outlive_lease


SECONDS = st.floats(0.1, 3600)


@given(
    lease_seconds=SECONDS,
    since=st.floats(0, 3600),
    jitter=st.floats(0.9, 1.0),
    flags=st.tuples(st.booleans(), st.booleans()),
)
def test_no_heartbeat_is_due_or_under_way_when_the_lease_is_over(
    lease_seconds: float, since: float, jitter: float, flags: tuple[bool, bool]
) -> None:
    lease = Lease(lease_seconds, sent_at=0.0)
    sent_at = lease.next_heartbeat(since, jitter, *flags)
    assert sent_at <= lease.safe_until
    assert sent_at + lease.request_seconds(sent_at) <= lease.safe_until * (1 + 1e-9)

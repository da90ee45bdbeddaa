"""Bugs that could be introduced where callers, jobs and names are limited, or where it is recorded who did what."""

from __future__ import annotations

from tests.support.seeding import seeded

TESTS = "tests/web"

SEEDED_BUGS = [
    *seeded(
        "lua/lib/queue/refuse_surplus.lua",
        "tests/lua/test_limits.py",
        (
            "a bulk may pass the limit of pending jobs",
            "pending + count > max_pending ",
            "pending >= max_pending ",
            "test_jobs_beyond_the_limit_are_refused_together_and_nothing_is_stored",
        ),
        (
            "a type that has jobs already is new",
            "has_type(type) and 0 or 1",
            "1",
            "test_a_type_that_had_jobs_before_there_was_a_limit_is_not_new",
        ),
    ),
    *seeded(
        "lua/lib/executors/is_surplus_executor.lua",
        "tests/lua/test_limits.py",
        (
            "an executor that runs a job is one too many",
            " or redis.call('EXISTS', keys.held(executor_id)) == 1",
            "",
            "test_an_executor_that_runs_a_job_is_not_refused",
        ),
    ),
    *seeded(
        "jobqueue/web/rates/limiter.py",
        f"{TESTS}/test_rate_limit.py",
        (
            "heartbeats are counted",
            '        "claims.heartbeat",\n',
            "",
            "test_what_keeps_a_running_job_alive_is_never_refused",
        ),
        (
            "each IPv6 address is a caller",
            "int(address) >> HALF_OF_IPV6 << HALF_OF_IPV6",
            "int(address)",
            "test_callers_without_a_token_are_counted_by_their_network",
        ),
    ),
    *seeded(
        "jobqueue/web/access/refusals.py",
        f"{TESTS}/test_activity.py",
        (
            "each refused request is written",
            "self._next_at = now + self._pause",
            "self._next_at = now",
            "test_a_flood_of_refused_requests_writes_less_and_less",
        ),
    ),
]

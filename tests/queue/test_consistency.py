"""`check` finds every kind of damage in a store, and nothing in a consistent one."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import redis

from jobqueue.queue.scripts import ROOT
from tests.support.attempts import BROKEN, DONE, claim, let_leases_end, lose, start
from tests.support.bench import Bench
from tests.support.consistency import check


@pytest.fixture
def jobs(real_bench: Bench) -> dict[str, str]:
    """A queue with one job of every status, all of one type and priority; their ids by status."""
    lost = lose(real_bench)
    completed = claim(real_bench)
    assert completed.job_id == lost.job_id
    real_bench.claims.complete(completed.job_id, completed.holder, DONE)
    failed = start(real_bench)
    real_bench.claims.fail(failed.job_id, failed.holder, BROKEN)
    running = start(real_bench)
    pending, cancelled = real_bench.submit(2)
    real_bench.commands.cancel(cancelled)
    return {
        "pending": pending,
        "running": running.job_id,
        "completed": completed.job_id,
        "failed": failed.job_id,
        "cancelled": cancelled,
    }


def test_a_queue_with_one_job_of_every_status_is_consistent(jobs: dict[str, str], real_client: redis.Redis) -> None:
    assert check(real_client) == []


def test_an_empty_store_is_consistent(real_client: redis.Redis) -> None:
    assert check(real_client) == []


def test_a_job_given_up_and_a_job_removed_are_consistent(real_bench: Bench) -> None:
    given_up = lose(real_bench)
    for _ in range(real_bench.policy.max_attempts - 1):
        claim(real_bench)
        let_leases_end(real_bench)
    assert check(real_bench.client) == []
    real_bench.clock.advance(real_bench.policy.retention_ms)
    assert real_bench.commands.sweep().jobs_removed == 1
    assert check(real_bench.client) == []
    assert given_up.job_id not in str(real_bench.client.keys())


@dataclass(frozen=True)
class Damage:
    """A command that damages the store, and what `check` must say. Braces stand for the root and for ids by status."""

    command: str
    complaint: str


DAMAGES = [
    Damage("ZREM {root}:jobs:pending:background {pending}", "{pending} is missing from jobs:pending:background"),
    Damage(
        "ZREM {root}:jobs:running:background:demo {running}", "{running} is missing from jobs:running:background:demo"
    ),
    Damage("DEL {root}:jobs:failed:background", "{failed} is missing from jobs:failed:background"),
    Damage("ZADD {root}:jobs:pending:background 3 {running}", "{running} is in jobs:pending:background, where"),
    Damage(
        "ZADD {root}:jobs:running:background:demo 3 {pending}", "{pending} is in jobs:running:background:demo, where"
    ),
    Damage("ZADD {root}:jobs:pending:foreground 4 {pending}", "{pending} is in jobs:pending:foreground, where"),
    Damage(
        "ZADD {root}:jobs:pending:background 99 {pending}", "{pending} is in jobs:pending:background with 99 instead"
    ),
    Damage("ZADD {root}:jobs:pending:background 9 ghost", "ghost is in jobs:pending:background, where"),
    Damage("HSET {root}:job:{pending} status running", "{pending} is running but has no attempt_token"),
    Damage("HSET {root}:job:{pending} status lost", "{pending} has the status lost"),
    Damage("HSET {root}:job:{pending} priority urgent", "the priority urgent"),
    Damage("HDEL {root}:job:{completed} completed_at_ms", "{completed} is completed but has no completed_at_ms"),
    Damage("HDEL {root}:job:{running} executor_ip", "{running} is running but has no executor_ip"),
    Damage("HSET {root}:job:{pending} attempt_token x", "{pending} is pending but has attempt_token"),
    Damage("HSET {root}:job:{cancelled} surprise x", "{cancelled} is cancelled but has surprise"),
    Damage("HSET {root}:job:{running} sequence 1", "2 jobs have the sequence number 1"),
    Damage("SET {root}:sequence 1", "but the newest is 1"),
    Damage("ZREM {root}:deadlines {running}", "{running} is missing from deadlines"),
    Damage("ZADD {root}:deadlines 5 {pending}", "{pending} is in deadlines, where"),
    Damage("ZREM {root}:held:executor-1 {running}", "{running} is missing from held:executor-1"),
    Damage("ZADD {root}:held:executor-1 5 {completed}", "{completed} is in held:executor-1, where"),
    Damage("ZADD {root}:held:executor-2 5 {running}", "{running} is in held:executor-2, where"),
    Damage("SET {root}:lease:{running} another", "{running} has the lease of another attempt"),
    Damage("SET {root}:lease:{pending} another", "{pending} does not run but has a lease"),
    Damage("SET {root}:lease:ghost another", "ghost does not run but has a lease"),
    Damage("DEL {root}:endings", "{failed} is missing from endings"),
    Damage("RPUSH {root}:endings 5:{running}", "{running} is in endings or ended, where"),
    Damage("ZADD {root}:ended 5 {running}", "{running} is in endings or ended, where"),
    Damage("RPUSH {root}:endings 5:{completed}", "{completed} is in endings or ended with 5 instead"),
    Damage("DEL {root}:job:{cancelled}", "There are spec of job {cancelled}, which does not exist"),
    Damage("HSET {root}:output:ghost stdout x", "There are output of job ghost"),
    Damage("RPUSH {root}:attempts:ghost x", "There are attempts of job ghost"),
    Damage("DEL {root}:spec:{pending}", "{pending} has no spec"),
    Damage("HSET {root}:output:{failed} stdout ''", "The output of job {failed} holds an empty stdout"),
    Damage("HSET {root}:spec:{completed} x y", "{root}:spec:{completed} is unknown or of the wrong type"),
    Damage("SET {root}:spec:{completed} x", "{completed} has two specs"),
    Damage("HDEL {root}:job:{completed} spec", "{completed} has spec2 but no spec."),
    Damage("HSET {root}:job:{completed} stdout ''", "{completed} has 0 bytes of stdout"),
    Damage(f"HSET {{root}}:job:{{completed}} stdout {'é' * 33}", "{completed} has 66 bytes of stdout"),
    Damage("HSET {root}:job:{pending} stdout x", "{pending} is pending but has stdout"),
    Damage("HSET {root}:output:{pending} stdout x", "{pending} has output but is pending"),
    Damage("DEL {root}:attempts:{completed}", "{completed} has had 1 attempts, but 0 are written down"),
    Damage("RPUSH {root}:attempts:{pending} x", "{pending} has had 0 attempts, but 1 are written down"),
    Damage("HSET {root}:job:{completed} lost_attempts 0", "{completed} has lost 0 attempts, but 1 are written down as"),
    Damage("HINCRBY {root}:job:{running} attempt 1", "{running} has had 1 attempts, but 0 are written down"),
    Damage("HSET {root}:live:{pending} stdout x stdout_offset 0", "{pending} does not run but has live output"),
    Damage("HSET {root}:live:{completed} stdout x stdout_offset 0", "{completed} does not run but has live output"),
    Damage("HSET {root}:live:{running} stdout x", "{running} has half of a live stdout"),
    Damage("HSET {root}:live:{running} stderr_offset 0", "{running} has half of a live stderr"),
    Damage("SETRANGE {root}:live:{running} 1 x", "{root}:live:{running} is unknown or of the wrong type"),
    Damage("HSET {root}:job:{pending} cancel_requested_at_ms 1", "{pending} is pending but has cancel_requested_at_ms"),
    Damage("HDEL {root}:job:{completed} reason", "{completed} is completed but has no reason"),
    Damage("HSET {root}:job:{cancelled} exit_code 1", "{cancelled} is cancelled but has exit_code"),
    Damage("HSET {root}:job:{cancelled} cancel_requested_at_ms 1", "{cancelled} is cancelled but has no executor_id"),
    Damage("ZREM {root}:executors executor-1", "The executor executor-1 is forgotten"),
    Damage("HSET {root}:counters attempts_lost -1", "The counter attempts_lost is -1"),
    Damage("ZADD {root}:busy 5 executor-2", "The executor executor-2 runs jobs or is busy, but not both"),
    Damage("ZREM {root}:busy executor-1", "The executor executor-1 runs jobs or is busy, but not both"),
    Damage("HSET {root}:job:{pending} not_before_ms 5", "{pending} is missing from due"),
    Damage("HSET {root}:job:{pending} not_before_ms 6", "{pending} is missing from jobs:delayed:background"),
    Damage("ZADD {root}:due 5 {pending}", "{pending} is in due, where"),
    Damage("HSET {root}:job:{failed} released_by x", "{failed} is failed but has released_by"),
    Damage("SET {root}:absent x", "{root}:absent is unknown"),
    Damage("SET elsewhere x", "elsewhere is unknown"),
    Damage("HSET {root}:spec:ghost x y", "{root}:spec:ghost is unknown or of the wrong type"),
]


@pytest.mark.parametrize("damage", DAMAGES, ids=[damage.command for damage in DAMAGES])
def test_damage_is_found(damage: Damage, jobs: dict[str, str], real_client: redis.Redis) -> None:
    words = [word.format(root=ROOT, **jobs).replace("''", "") for word in damage.command.split(" ")]
    real_client.execute_command(*words)  # type: ignore[no-untyped-call]
    complaint = damage.complaint.format(root=ROOT, **jobs)
    assert any(complaint in sentence for sentence in check(real_client)), check(real_client)

"""Bugs that somebody might introduce in `lua/`, each as one change of text. The state machine must find them all.

The tests try those that are found soon. `python -m tests.queue.seeded_bugs 2>/dev/null` tries them all, in a few
minutes. One change is not listed because it is no bug: a heartbeat without `XX` adds no deadline, as the script checks
the job's status before.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import redis

from jobqueue import logs
from jobqueue.queue.scripts import LUA
from tests.queue.drive import DETERMINISTIC, LONGER, connect_without_time_limit, drive
from tests.support.redis_server import running_redis
from tests.support.seeding import SeededBug, print_results

HOLDS = "lib/leases/holds_lease.lua"
LOSE = "lib/leases/lose_expired_leases.lua"
MOVE = "lib/jobs/set_status.lua"
DROP = "lib/leases/drop_lease.lua"
END = "lib/jobs/end_job.lua"
BACK = "lib/queue/requeue.lua"
LIVE = "lib/leases/keep_live.lua"
FINISH = "lib/leases/finish.lua"
TEXTS = "lib/jobs/texts.lua"
GRACE = "lib/leases/in_grace.lua"
LEASE = "lib/leases/set_lease.lua"
NEXT = "lib/queue/next_of.lua"
TAKE_BACK = "lib/leases/take_back.lua"
DUE = "lib/queue/queue_due_jobs.lua"
TYPE_INDEX = "redis.call('ZREM', keys.jobs_of_type(job.index, job.priority, job.type), job.id)"

FOUND_SOON = [
    SeededBug("the token is not checked", HOLDS, "job.attempt_token == attempt_token", "true"),
    SeededBug("the executor is not checked", HOLDS, "and job.executor_id == executor_id"),
    SeededBug("the status is not checked", HOLDS, "job.status == 'running' and "),
    SeededBug("a lease ends at once", LEASE, "now_ms + lease_ms, job.id)", "now_ms, job.id)"),
    SeededBug("a heartbeat renews no lease", "heartbeat.lua", "  set_lease(job, now_ms, lease_ms)\n"),
    SeededBug("a heartbeat does not count as seen", "heartbeat.lua", "mark_seen(executor_id, now_ms)\n"),
    SeededBug(
        "a requeued job goes to the end",
        BACK,
        "set_status(job, 'pending', not_before_ms)",
        "job.sequence = redis.call('INCR', keys.sequence) set_status(job, 'pending', not_before_ms)",
    ),
    SeededBug(
        "a lost attempt keeps its token",
        "lib/leases/archive_attempt.lua",
        "redis.call('HDEL', keys.job(job.id), 'attempt_token', 'owner')",
    ),
    SeededBug(
        "a lost attempt is not archived",
        "lib/leases/archive_attempt.lua",
        "redis.call('RPUSH', keys.attempts(job.id), table.concat(words, ' '))",
    ),
    SeededBug("a lost job keeps its executor", BACK, "'executor_id', 'executor_ip', 'started_at_ms'", "'executor_ip'"),
    SeededBug("a lost lease keeps its deadline", LOSE, "drop_lease(job)"),
    SeededBug("leases end a millisecond late", LOSE, "'-inf', now_ms,", "'-inf', now_ms - 1,"),
    SeededBug("the old status keeps the job", MOVE, "redis.call('ZREM', keys.jobs(job.index, job.priority), job.id)"),
    SeededBug("the old status keeps the job under its type", MOVE, TYPE_INDEX),
    SeededBug(
        "the new status has the job not under its type",
        MOVE,
        "redis.call('ZADD', keys.jobs_of_type(job.index, job.priority, job.type), job.sequence, job.id)",
    ),
    SeededBug("a finished job keeps its lease", FINISH, "drop_lease(job)"),
    SeededBug("a dropped lease keeps its deadline", DROP, "redis.call('ZREM', keys.deadlines, job.id)"),
    SeededBug("a dropped lease keeps its key", DROP, "'DEL', keys.lease(job.id), ", "'DEL', "),
    SeededBug("a dropped lease is still held", DROP, "redis.call('ZREM', keys.held(job.executor_id), job.id)"),
    SeededBug("any result with the token is a replay", FINISH, " is_replay(job, report, reason) then", " true then"),
    SeededBug("no result is a replay", FINISH, "    return { 1, status }\n", "\n"),
    SeededBug("an ended job has no end time", END, "'completed_at_ms'\n", "'ended'\n"),
    SeededBug("a moved spec is stored twice", FINISH, "redis.call('DEL', keys.spec(id))"),
    SeededBug(
        "the pieces of a text are in the wrong order",
        TEXTS,
        "name .. number\n    fields",
        "name .. 5 - number\n    fields",
    ),
    SeededBug(
        "an ended job is never removed", END, "redis.call('RPUSH', keys.endings, whole(now_ms) .. ':' .. job.id)"
    ),
    SeededBug("an ended job can be cancelled", "cancel.lua", "job.status ~= 'pending'", "job.status == 'running'"),
    SeededBug("a lease has no deadline", LEASE, "redis.call('ZADD', keys.deadlines, now_ms + lease_ms, job.id)"),
    SeededBug("removal leaves the output", "sweep.lua", "keys.spec(id), keys.output(id),", "keys.spec(id),"),
    SeededBug("removal leaves the attempts", "sweep.lua", ", keys.attempts(id),", ","),
    SeededBug(
        "removal leaves the type's index",
        "sweep.lua",
        "redis.call('ZREM', keys.jobs_of_type(job.status, job.priority, job.type), id)",
    ),
    SeededBug("there is always grace", GRACE, "return left_ms > 0 and left_ms <= lease_ms", "return true"),
    SeededBug("a released attempt is lost", "release.lua", "'released'", "'lost'"),
    SeededBug("a released lease is still there", "release.lua", "drop_lease(job)\n"),
    SeededBug(
        "a non-holder may release", "lib/leases/refuse_non_holder.lua", "not holds_lease(", "false and not holds_lease("
    ),
    SeededBug("a lost job ignores a cancel request", LOSE, "if job.cancel_requested then", "if false then"),
    SeededBug("a completed job becomes cancelled", FINISH, "and status == 'failed' and", "and"),
    SeededBug(
        "a heartbeat hides a cancel request", "heartbeat.lua", "job.cancel_requested and 'cancel_requested'", "false"
    ),
    SeededBug("force changes an ended job", "cancel.lua", "job.status == 'running' and", "job.status ~= 'pending' and"),
    SeededBug("attempts are not counted", "claim.lua", "tonumber(job.attempt or 0) + 1", "0"),
    SeededBug("live output outlives its attempt", DROP, ", keys.live(job.id)"),
    SeededBug("a gap in the output is ignored", LIVE, "text, begin = data, offset", "text = text .. data"),
    SeededBug("a host fault delays no job", "release.lua", "requeue(job, not_before_ms)", "requeue(job)"),
    SeededBug("one host fault too few", "release.lua", "host_faults >= max", "host_faults + 1 >= max"),
    SeededBug(
        "an executor gets a job that it released again",
        "claim.lua",
        "elseif is_for_others(job) then",
        "elseif false then",
    ),
    SeededBug(
        "two jobs get one number", "submit.lua", "sequence = sequence + 1\n", "sequence = math.max(sequence, 1)\n"
    ),
    SeededBug(
        "a repeated claim gets other jobs",
        "claim.lua",
        "if repeated then\n  return repeat",
        "if false then\n  return repeat",
    ),
    SeededBug("a repeated claim renews no lease", "claim.lua", "      set_lease(job, now_ms, lease_ms)\n"),
    SeededBug(
        "a claim is taken as received", "claim.lua", "redis.call('ZADD', keys.unreceived(executor_id), now_ms, job.id)"
    ),
    SeededBug(
        "a repeated claim is as old as the first",
        "claim.lua",
        "redis.call('ZADD', keys.unreceived(executor_id), 'XX', now_ms, id)",
    ),
    SeededBug("a job that is taken back was lost", TAKE_BACK, "'released'", "'lost'"),
    SeededBug(
        "a repeated claim is not remembered again",
        "claim.lua",
        "  claim_ids.remember(executor_id, claim_name, first_number, now_ms, lease_ms)\n  return answer",
        "  return answer",
    ),
    SeededBug("jobs are taken back early", TAKE_BACK, "UNRECEIVED_MS = 10000", "UNRECEIVED_MS = 5000"),
    SeededBug("delayed jobs are queued a millisecond late", DUE, "'-inf', now_ms,", "'-inf', now_ms - 1,"),
    SeededBug(
        "any failure becomes cancelled", FINISH, "local stopped = report.reason == '' or", "local stopped = true or"
    ),
    SeededBug("replayed output is stored twice", LIVE, "string.sub(data, known + 1)", "data"),
    SeededBug("one lost executor too many", LOSE, "lost >= max_attempts", "lost > max_attempts"),
]

FOUND_LATE = [
    SeededBug("one lost executor too few", LOSE, "lost >= max_attempts", "lost + 1 >= max_attempts"),
    SeededBug("any token is a replay", FINISH, "report.attempt_token == job.attempt_token", "true"),
    SeededBug("a release does not count as seen", "release.lua", "mark_seen(executor_id, now_ms)\n"),
    SeededBug("a release ignores a cancel request", "release.lua", "if job.cancel_requested then", "if false then"),
    SeededBug("the reason is not compared in a replay", FINISH, " or (ended[2] or '') ~= reason then", " then"),
    SeededBug(
        "a running job can be cancelled",
        "cancel.lua",
        "job.status ~= 'pending'",
        "job.status ~= 'pending' and job.status ~= 'running'",
    ),
    SeededBug("a failure ignores a cancel request", FINISH, "return job.cancel_requested and", "return false and"),
    SeededBug(
        "a claim is forgotten within its lease",
        "lib/executors/claim_ids.lua",
        "spans_ago = 0, 1 do",
        "spans_ago = 0, 0 do",
    ),
    SeededBug(
        "a heartbeat proves nothing received",
        "heartbeat.lua",
        "redis.call('ZREM', keys.unreceived(executor_id), job.id)",
    ),
    SeededBug(
        "a job that is taken back ignores a cancel request", TAKE_BACK, "if job.cancel_requested then", "if false then"
    ),
    SeededBug(
        "a dropped lease is still to be received", DROP, "redis.call('ZREM', keys.unreceived(job.executor_id), job.id)"
    ),
    SeededBug("a claim ignores its types", "claim.lua", "types and indexes_of_types(priority, types)", "nil"),
    SeededBug("the first type goes first", NEXT, "index.sequence < oldest.sequence", "false"),
    SeededBug("a claim gets one job too many", "claim.lua", "#answer <= max_jobs and", "#answer <= max_jobs + 1 and"),
    SeededBug("the jobs of a claim have one place", "claim.lua", "number + handed_out / PARTS", "number"),
    SeededBug(
        "a refused job refuses the whole heartbeat",
        "heartbeat.lua",
        "    answers[#answers + 1] = 'NOT_HELD ' .. job.status\n",
        "    return { { 'NOT_HELD ' .. job.status }, {} }\n",
    ),
    SeededBug("a replay counts twice", "complete.lua", "answer[1] == 0", "not answer.err"),
    SeededBug("one host fault too many", "release.lua", "host_faults >= max", "host_faults > max"),
    SeededBug("a delayed job that ends stays due", MOVE, "redis.call('ZREM', keys.due, job.id)"),
    SeededBug("a claim queues no delayed jobs", "claim.lua", "queue_due_jobs(now_ms, MAX_DUE)\n"),
    SeededBug("a job waits for others that do not ask", "lib/executors/asking.lua", "return others > 0", "return true"),
    SeededBug("nobody else is ever asking", "lib/executors/asking.lua", "return others > 0", "return false"),
    SeededBug("an ended job remembers who released it", END, "if job.released_by then", "if false then"),
    SeededBug("an executor without jobs is busy", DROP, "redis.call('ZREM', keys.busy, job.executor_id)"),
    SeededBug("no token is a replay", FINISH, "report.attempt_token ~= '' and", "report.attempt_token == '' or"),
    SeededBug("a failure is a replay of a success", FINISH, "job.status == status and", "job.status ~= 'running' and"),
    SeededBug(
        "background goes before foreground",
        "claim.lua",
        "claim_from('foreground')\nclaim_from('background')",
        "claim_from('background')\nclaim_from('foreground')",
    ),
    SeededBug("the last comes first", "claim.lua", "'ZRANGE', key, rank", "'ZREVRANGE', key, rank"),
    SeededBug("a claim ends no leases", "claim.lua", "lose_expired_leases(now_ms, lease_ms, max_attempts, MAX_LOST)"),
    SeededBug("removal comes early", "sweep.lua", "age_ms < retention_ms", "age_ms < retention_ms / 2"),
    SeededBug(
        "removal skips what it has looked at",
        "sweep.lua",
        "keys.endings, looked_at, -1",
        "keys.endings, looked_at + 1, -1",
    ),
    SeededBug(
        "a forgotten executor's count stays",
        "lib/executors/forget_executors.lua",
        "redis.call('HDEL', keys.jobs_completed, executor_id)",
    ),
    SeededBug("there is no grace", GRACE, "return left_ms > 0 and left_ms <= lease_ms", "return false"),
    SeededBug(
        "grace is not stored",
        GRACE,
        "redis.call('HSET', keys.sweep, 'grace_until_ms', whole(grace_until_ms))",
    ),
]


def main() -> int:
    """Try every bug and print whether it was found. Return how many were not."""
    logs.configure(sys.stderr)
    bugs = [*FOUND_SOON, *FOUND_LATE]
    with tempfile.TemporaryDirectory() as folder, running_redis(Path(folder)) as url:
        client = connect_without_time_limit(url)
        copies = (planted(bug, Path(folder) / str(number)) for number, bug in enumerate(bugs))
        return print_results(bugs, (is_found(client, copy) for copy in copies))


def planted(bug: SeededBug, folder: Path) -> Path:
    """Copy `lua/` into `folder` with the bug in it. Return the copy."""
    copy = folder / "lua"
    shutil.copytree(LUA, copy)
    bug.plant(copy)
    return copy


def is_found(client: redis.Redis, folder: Path) -> bool:
    """Return whether the state machine finds the bug in that folder."""
    for how in (DETERMINISTIC, LONGER):
        try:
            drive(client, folder, how)
        except AssertionError:
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())

"""Faults that somebody might make in `lua/`, each as one change of text: what the state machine must not let pass.

The tests drive those that are found soon. `python -m tests.queue.seeded_bugs 2>/dev/null` drives them all, in a
minute. One is missing here because it is no fault: a heartbeat without `XX` makes no deadline that is not there, as
it has looked at the job's status before.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import redis

from jobqueue import logs
from jobqueue.queue.connection import connect
from jobqueue.queue.scripts import LUA
from tests.queue.drive import DETERMINISTIC, LONGER, drive
from tests.support.redis_server import running_redis


@dataclass(frozen=True)
class SeededBug:
    """In `file` the text `old`, which is there exactly once, becomes `new`."""

    name: str
    file: str
    old: str
    new: str = ""

    def plant(self, folder: Path) -> Path:
        """Copy `lua/` into `folder`, with this bug in it; return the copy."""
        copy = folder / "lua"
        shutil.copytree(LUA, copy)
        path = copy / self.file
        text = path.read_text()
        assert text.count(self.old) == 1, f"{self.file} has changed: seed {self.name!r} anew"
        path.write_text(text.replace(self.old, self.new))
        return copy


HOLDS = "lib/holds_lease.lua"
LOSE = "lib/lose_expired_leases.lua"
MOVE = "lib/set_status.lua"
DROP = "lib/drop_lease.lua"
END = "lib/end_job.lua"
BACK = "lib/requeue.lua"
LIVE = "lib/keep_live.lua"
FINISH = "lib/finish.lua"
GRACE = "lib/in_grace.lua"
TYPE_INDEX = "redis.call('ZREM', keys.jobs_of_type(job.status, job.priority, job.type), job.id)"

FOUND_SOON = [
    SeededBug("the token is not looked at", HOLDS, "job.attempt_token == attempt_token", "true"),
    SeededBug("the executor is not looked at", HOLDS, "and job.executor_id == executor_id"),
    SeededBug("the status is not looked at", HOLDS, "job.status == 'running' and "),
    SeededBug("a heartbeat renews no deadline", "heartbeat.lua", "now_ms + lease_ms, job_id)", "now_ms, job_id)"),
    SeededBug("a heartbeat is not a sign of life", "heartbeat.lua", "mark_seen(executor_id, now_ms)\n"),
    SeededBug(
        "a job that comes back goes to the end",
        BACK,
        "set_status(job, 'pending')",
        "job.sequence = redis.call('INCR', keys.sequence) set_status(job, 'pending')",
    ),
    SeededBug(
        "a lost attempt keeps its token",
        "lib/archive_attempt.lua",
        "redis.call('HDEL', keys.job(job.id), 'attempt_token')",
    ),
    SeededBug(
        "a lost attempt is not written down",
        "lib/archive_attempt.lua",
        "redis.call('RPUSH', keys.attempts(job.id), line)",
    ),
    SeededBug("one lost executor too few", LOSE, "lost >= max_attempts", "lost + 1 >= max_attempts"),
    SeededBug("a lost job keeps its executor", BACK, "'executor_id', 'executor_ip', 'started_at_ms'", "'executor_ip'"),
    SeededBug("a lost lease keeps its deadline", LOSE, "drop_lease(job)"),
    SeededBug("leases end a millisecond late", LOSE, "'-inf', now_ms,", "'-inf', now_ms - 1,"),
    SeededBug("the old status keeps the job", MOVE, "redis.call('ZREM', keys.jobs(job.status, job.priority), job.id)"),
    SeededBug("the old status keeps the job under its type", MOVE, TYPE_INDEX),
    SeededBug(
        "the new status has the job not under its type",
        MOVE,
        "redis.call('ZADD', keys.jobs_of_type(status, job.priority, job.type), job.sequence, job.id)",
    ),
    SeededBug("a finished job keeps its lease", FINISH, "drop_lease(job)"),
    SeededBug("a dropped lease keeps its deadline", DROP, "redis.call('ZREM', keys.deadlines, job.id)"),
    SeededBug("a dropped lease keeps its key", DROP, "'DEL', keys.lease(job.id), ", "'DEL', "),
    SeededBug("a dropped lease is still held", DROP, "redis.call('ZREM', keys.held(job.executor_id), job.id)"),
    SeededBug("any result with the token is a repeat", FINISH, " is_replay(job, report, reason) then", " true then"),
    SeededBug("a reason is no part of a result", FINISH, " and (ended[2] or '') == reason\n", "\n"),
    SeededBug("any token is a repeat", FINISH, "report.attempt_token == job.attempt_token", "true"),
    SeededBug("no result is a repeat", FINISH, "    return { 1, status }\n", "\n"),
    SeededBug("an exit code of a job never ends it", END, "'completed_at_ms', whole(now_ms)", "'ended', '1'"),
    SeededBug("an ended job is never removed", END, "redis.call('ZADD', keys.ended, now_ms, job.id)"),
    SeededBug(
        "a running job can be cancelled",
        "cancel.lua",
        "job.status ~= 'pending'",
        "job.status ~= 'pending' and job.status ~= 'running'",
    ),
    SeededBug("an ended job can be cancelled", "cancel.lua", "job.status ~= 'pending'", "job.status == 'running'"),
    SeededBug("a claim has no deadline", "claim.lua", "redis.call('ZADD', keys.deadlines, now_ms + lease_ms, job.id)"),
    SeededBug("removal leaves the output", "sweep.lua", "keys.spec(id), keys.output(id),", "keys.spec(id),"),
    SeededBug("removal leaves the attempts", "sweep.lua", ", keys.attempts(id),", ","),
    SeededBug(
        "removal leaves the type's index",
        "sweep.lua",
        "redis.call('ZREM', keys.jobs_of_type(job.status, job.priority, job.type), id)",
    ),
    SeededBug("there is always grace", GRACE, "return left_ms > 0 and left_ms <= lease_ms", "return true"),
    SeededBug("a repeat counts twice", "complete.lua", "answer[1] == 0", "not answer.err"),
    SeededBug("a released attempt is lost", "release.lua", "'released'", "'lost'"),
    SeededBug("a released lease is still there", "release.lua", "drop_lease(job)\n"),
    SeededBug("a release is not a sign of life", "release.lua", "mark_seen(executor_id, now_ms)\n"),
    SeededBug("a release forgets the wish to stop", "release.lua", "if job.cancel_requested then", "if false then"),
    SeededBug("anybody may release", "lib/refuse_non_holder.lua", "not holds_lease(", "false and not holds_lease("),
    SeededBug("a lost job forgets the wish to stop", LOSE, "if job.cancel_requested then", "if false then"),
    SeededBug("a failure forgets the wish to stop", FINISH, "return job.cancel_requested and", "return false and"),
    SeededBug("a success was stopped", FINISH, "and status == 'failed' and", "and"),
    SeededBug("the wish to stop is not told", "heartbeat.lua", "job.cancel_requested and 1 or 0", "0"),
    SeededBug("force stops what has ended", "cancel.lua", "job.status == 'running' and", "job.status ~= 'pending' and"),
    SeededBug("tries are not counted", "claim.lua", "keys.job(job.id), 'attempt', 1", "keys.job(job.id), 'attempt', 0"),
    SeededBug("live output outlives its attempt", DROP, ", keys.live(job.id)"),
    SeededBug("a gap in the output is not noticed", LIVE, "text, begin = data, offset", "text = text .. data"),
    SeededBug(
        "two jobs get one number", "submit.lua", "sequence = sequence + 1\n", "sequence = math.max(sequence, 1)\n"
    ),
]

FOUND_LATE = [
    SeededBug(
        "whatever fails was stopped", FINISH, "local stopped = report.reason == '' or", "local stopped = true or"
    ),
    SeededBug("repeated output is kept twice", LIVE, "string.sub(data, known + 1)", "data"),
    SeededBug("one lost executor too many", LOSE, "lost >= max_attempts", "lost > max_attempts"),
    SeededBug("no token is a repeat", FINISH, "report.attempt_token ~= '' and", "report.attempt_token == '' or"),
    SeededBug("a failure is a repeat of a success", FINISH, "job.status == status and", "job.status ~= 'running' and"),
    SeededBug(
        "background goes before foreground",
        "claim.lua",
        "next_pending('foreground') or next_pending('background')",
        "next_pending('background') or next_pending('foreground')",
    ),
    SeededBug("the last comes first", "claim.lua", "'ZRANGE', queue, 0, 0", "'ZREVRANGE', queue, 0, 0"),
    SeededBug(
        "a claim takes nothing back", "claim.lua", "lose_expired_leases(now_ms, lease_ms, max_attempts, MAX_LOST)"
    ),
    SeededBug("removal comes early", "sweep.lua", "now_ms - retention_ms", "now_ms - retention_ms / 2"),
    SeededBug(
        "a forgotten executor's count stays", "sweep.lua", "redis.call('HDEL', keys.jobs_completed, executor_id)"
    ),
    SeededBug("there is no grace", GRACE, "return left_ms > 0 and left_ms <= lease_ms", "return false"),
    SeededBug(
        "grace is noticed but not kept",
        GRACE,
        "redis.call('HSET', keys.sweep, 'grace_until_ms', whole(grace_until_ms))",
    ),
]


def main() -> int:
    """Drive every bug and say whether it was found; return how many were not."""
    logs.configure(sys.stderr)
    missed = 0
    with tempfile.TemporaryDirectory() as folder, running_redis(Path(folder)) as url, connect(url) as client:
        for number, bug in enumerate([*FOUND_SOON, *FOUND_LATE]):
            found = is_found(client, bug.plant(Path(folder) / str(number)))
            missed += not found
            sys.stdout.write(f"{'found' if found else 'MISSED'}: {bug.name}\n")
    return missed


def is_found(client: redis.Redis, folder: Path) -> bool:
    """Whether a bug in that folder shows."""
    for how in (DETERMINISTIC, LONGER):
        try:
            drive(client, folder, how)
        except AssertionError:
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())

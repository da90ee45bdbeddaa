-- sweep: Does what has become due: ends expired leases, queues jobs whose delay is over, removes jobs whose retention
-- is over, forgets executors that have been silent or are too many. Each part handles at most `limit` entries. Any
-- number of servers may sweep: each finds what is left.
-- STATUSES running -> pending, running -> failed, running -> cancelled, pending -> pending, completed -> (none),
--          failed -> (none), cancelled -> (none)
-- KEYS     1 root
-- ARGV     1 now_ms               the time in milliseconds, or "" for Redis's own
--          2 lease_ms             how long an executor may stay silent
--          3 max_attempts         how many executors a job may lose
--          4 retention_ms         how long ended jobs are kept
--          5 executor_timeout_ms  silence after which an executor is forgotten
--          6 limit                how many of each to handle at most
--          7 executor_limit       as for claim
-- RETURNS  the numbers of leases lost, jobs removed, executors forgotten and jobs queued; the number of milliseconds
--          until the next lease or delay ends, 0 if none does or one has ended already
-- ERRORS   none
-- USES     keys clock whole allow_when_full find_job notify set_status end_job drop_lease archive_attempt requeue
-- USES     in_grace lose_expired_leases queue_due_jobs delay_after surplus_executors forget_executors asking
-- USES     keys_of has_type
local now_ms = clock(ARGV[1])
local lease_ms = tonumber(ARGV[2])
local max_attempts = tonumber(ARGV[3])
local retention_ms = tonumber(ARGV[4])
local executor_timeout_ms = tonumber(ARGV[5])
local limit = tonumber(ARGV[6])
local executor_limit = ARGV[7]
local MAX_TYPES_LOOKED_AT = 5

-- No deadline can be further away than one lease, unless the clock was set back. Such a deadline would protect a dead
-- executor until the clock has caught up, perhaps for years, so it is moved to one lease from now.
local function clamp_deadlines()
  local latest = now_ms + lease_ms
  local too_late = redis.call('ZRANGEBYSCORE', keys.deadlines, '(' .. whole(latest), '+inf', 'LIMIT', 0, limit)
  for _, id in ipairs(too_late) do
    redis.call('ZADD', keys.deadlines, 'XX', latest, id)
  end
end

-- No delay is longer than delay_after says, unless the clock was set back. Such a job would wait until the clock has
-- caught up, perhaps for years, so its delay is made to end as late as a delay can that begins now.
local function clamp_delays()
  local latest = now_ms + delay_after(math.huge)
  local too_late = redis.call('ZRANGEBYSCORE', keys.due, '(' .. whole(latest), '+inf', 'LIMIT', 0, limit)
  for _, id in ipairs(too_late) do
    redis.call('ZADD', keys.due, 'XX', latest, id)
    if redis.call('HEXISTS', keys.job(id), 'not_before_ms') == 1 then
      redis.call('HSET', keys.job(id), 'not_before_ms', whole(latest))
    end
  end
end

-- The types are only listed while they are limited, and for a while after that.
local types_are_listed = redis.call('EXISTS', keys.types) == 1

local function forget_type(type)
  if not has_type(type) then
    redis.call('SREM', keys.types, type)
  end
end

local function remove_job(id, job)
  if job then
    redis.call('ZREM', keys.jobs(job.status, job.priority), id)
    redis.call('ZREM', keys.jobs_of_type(job.status, job.priority, job.type), id)
    if types_are_listed then
      forget_type(job.type)
    end
  end
  redis.call('DEL', keys.job(id), keys.spec(id), keys.output(id), keys.attempts(id), keys.live(id))
end

-- Removes the oldest jobs whose ends an older server noted, in a sorted set. An entry goes even when its job is gone,
-- or it would come up for ever.
local function remove_older_jobs()
  local old = redis.call('ZRANGEBYSCORE', keys.ended, '-inf', now_ms - retention_ms, 'LIMIT', 0, limit)
  for _, id in ipairs(old) do
    remove_job(id, find_job(id))
    redis.call('ZREM', keys.ended, id)
  end
  return #old
end

-- Removes at most `count` of the jobs that ended first. Jobs are noted in the order in which they end, so the first one
-- that must stay is where to stop, unless its end is in the future: the clock was set back since then. It could keep
-- others from being removed for years, so it goes to the end of the list. An entry goes, and nothing else, when its job
-- has not ended at that time.
local function remove_ended_jobs(count)
  local looked_at, kept = 0, 0
  for _, entry in ipairs(count > 0 and redis.call('LRANGE', keys.endings, 0, count - 1) or {}) do
    local ended_at_ms, id = string.match(entry, '^(%d+):(.*)$')
    local age_ms = now_ms - ended_at_ms
    if age_ms >= 0 and age_ms < retention_ms then
      break
    end
    looked_at = looked_at + 1
    if age_ms < 0 then
      redis.call('RPUSH', keys.endings, entry)
      kept = kept + 1
    elseif redis.call('HGET', keys.job(id), 'completed_at_ms') == ended_at_ms then
      remove_job(id, find_job(id))
    end
  end
  if looked_at > 0 then
    redis.call('LTRIM', keys.endings, looked_at, -1)
  end
  return looked_at - kept
end

-- Forgets executors with their counts: ids are chosen by clients, and without this the set would grow without bound.
local function forget_silent_executors()
  local silent = redis.call('ZRANGEBYSCORE', keys.executors, '-inf', now_ms - executor_timeout_ms, 'LIMIT', 0, limit)
  if #silent == 0 then
    silent = surplus_executors(limit, executor_limit)
  end
  forget_executors(silent)
  asking.forget(now_ms, limit)
  return #silent
end

-- Forgets some types without jobs: a server of another version may have removed the last job of one.
local function forget_some_types()
  for _, type in ipairs(redis.call('SRANDMEMBER', keys.types, MAX_TYPES_LOOKED_AT)) do
    forget_type(type)
  end
end

-- Returns how many milliseconds it takes until the next lease or delay ends, 0 for none and for what is overdue: that
-- is left to the next sweep, or is kept by the grace after an absence.
local function until_next()
  local earliest = math.huge
  for _, index in ipairs({ keys.deadlines, keys.due }) do
    earliest = math.min(earliest, tonumber(redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')[2] or nil) or math.huge)
  end
  return earliest < math.huge and math.max(math.ceil(earliest - now_ms), 0) or 0
end

allow_when_full()
clamp_deadlines()
clamp_delays()
local leases_lost = lose_expired_leases(now_ms, lease_ms, max_attempts, limit)
local older_removed = remove_older_jobs()
if types_are_listed then
  forget_some_types()
end
return {
  leases_lost,
  older_removed + remove_ended_jobs(limit - older_removed),
  forget_silent_executors(),
  queue_due_jobs(now_ms, limit),
  until_next(),
}

-- claim: Hands the next pending job to an executor, with a lease and a token that identifies this attempt alone. Before
-- that it ends some expired leases and queues some delayed jobs that have become due, so that these jobs can be claimed
-- although no sweep has run yet.
-- STATUSES pending -> running, running -> pending, running -> failed, running -> cancelled
-- KEYS     1 root
-- ARGV     1 now_ms         the time in milliseconds, or "" for Redis's own
--          2 executor_id    the executor that claims
--          3 executor_ip    its address, or "-"
--          4 attempt_token  new and random
--          5 lease_ms       how long the executor may stay silent
--          6 max_attempts   how many executors a job may lose
-- RETURNS  the job as read_job returns it, or nothing when no job is pending
-- ERRORS   none
-- USES     keys clock whole allow_when_full find_job notify set_status end_job drop_lease archive_attempt requeue
-- USES     mark_seen surplus_executors forget_executors asking read_job in_grace lose_expired_leases queue_due_jobs
local now_ms = clock(ARGV[1])
local executor_id = ARGV[2]
local executor_ip = ARGV[3]
local attempt_token = ARGV[4]
local lease_ms = tonumber(ARGV[5])
local max_attempts = tonumber(ARGV[6])
local MAX_LOST = 10
local MAX_DUE = 10
local MAX_FORGOTTEN = 3
local MAX_STALE = 50
local MAX_LOOKS = 70
local LOOKS_IN_ORDER = 50

-- Returns whether a job must be left to others: this executor released it after a host fault, and somebody asks who did
-- not. An executor that could not run a job would most likely fail at it again, and each time counts for the job.
local others_ask = {} -- by the executors that do not count: many jobs were released by the same ones
local function is_for_others(job)
  local released_by = job.released_by
  if not released_by or now_ms >= (tonumber(job.others_first_until_ms or nil) or 0)
    or not string.find(' ' .. released_by .. ' ', ' ' .. executor_id .. ' ', 1, true) then
    return false
  end
  if others_ask[released_by] == nil then
    others_ask[released_by] = asking.anybody_but(released_by, now_ms)
  end
  return others_ask[released_by]
end

-- Returns the oldest pending job of a priority that this executor may have; nil when there is none. Jobs that are for
-- others stay where they are, at the head, where the others find them first. After LOOKS_IN_ORDER of them the steps
-- double: the jobs that a bad host could not run lie close together, and what it can run may lie a hundred thousand
-- jobs behind them. To be exact about the order would cost a look at each of those.
--
-- An entry without a pending job behind it should not exist. If one does, it must not block the queue, so it is
-- removed, at most MAX_STALE in one call.
local function next_pending(priority)
  local queue = keys.jobs('pending', priority)
  local rank, looks, stale = 0, 0, 0
  while looks < MAX_LOOKS and stale < MAX_STALE do
    local id = redis.call('ZRANGE', queue, rank, rank)[1]
    if not id then
      return nil
    end
    local job = find_job(id)
    if not job or job.index ~= 'pending' then
      redis.call('ZREM', queue, id)
      stale = stale + 1
    elseif is_for_others(job) then
      looks = looks + 1
      rank = looks < LOOKS_IN_ORDER and looks or rank * 2
    else
      return job
    end
  end
end

-- Makes the next pending job this executor's and returns it; nil when none is pending. A lower priority is only looked
-- at when the higher ones are empty: jobs do not move up with age, so a busy foreground queue can starve the others.
local function hand_out(token)
  local job = next_pending('foreground') or next_pending('background') or next_pending('best_effort')
  if not job then
    return nil
  end
  set_status(job, 'running')
  redis.call('HSET', keys.job(job.id), 'executor_id', executor_id, 'executor_ip', executor_ip, 'attempt_token', token,
    'started_at_ms', whole(now_ms))
  -- The number of an attempt is counted here, because the archive keeps only the newest hundred.
  redis.call('HINCRBY', keys.job(job.id), 'attempt', 1)
  -- The sorted set of deadlines decides when the lease ends. The key with a TTL may vanish at any time (eviction) and
  -- is only a hint for people who look at Redis.
  redis.call('ZADD', keys.deadlines, now_ms + lease_ms, job.id)
  redis.call('SET', keys.lease(job.id), token, 'PX', lease_ms)
  -- Claims are ordered by a counter, not by the time: two of them may happen in the same millisecond.
  local claim = redis.call('INCR', keys.claims)
  redis.call('ZADD', keys.held(executor_id), claim, job.id)
  redis.call('ZADD', keys.busy, claim, executor_id)
  return read_job(job.id)
end

allow_when_full()
mark_seen(executor_id, now_ms)
forget_executors(surplus_executors(MAX_FORGOTTEN))
asking.note(executor_id, now_ms)
-- Expired leases come first: a job that was released by this very call keeps its old place in the queue and is then
-- handed out before younger ones. The limit keeps a claim fast when many executors have died at once; the sweeps take
-- the rest.
lose_expired_leases(now_ms, lease_ms, max_attempts, MAX_LOST)
queue_due_jobs(now_ms, MAX_DUE)
return hand_out(attempt_token)

-- claim: Hands the next pending job to an executor, with a lease and a token that stands for this attempt alone.
-- First takes some jobs back from executors that fell silent.
-- STATES   pending -> running, running -> pending, running -> failed, running -> cancelled
-- KEYS     1 root
-- ARGV     1 now_ms         the time in milliseconds, or "" for Redis's own
--          2 executor_id    who claims
--          3 executor_ip    its address, or "-"
--          4 attempt_token  new and random
--          5 lease_ms       how long the executor may stay silent
--          6 max_attempts   how many executors a job may lose
-- RETURNS  the job as read_job tells it, or nothing when no job is pending
-- ERRORS   none
-- USES     keys clock whole allow_when_full find_job set_state end_job drop_lease archive_attempt send_back
-- USES     hear_from read_job in_grace lose_expired_leases
local now_ms = clock(ARGV[1])
local executor_id = ARGV[2]
local executor_ip = ARGV[3]
local attempt_token = ARGV[4]
local lease_ms = tonumber(ARGV[5])
local max_attempts = tonumber(ARGV[6])
local LOST_AT_MOST = 10
local STALE_AT_MOST = 50

-- The oldest pending job of a priority. An entry that no pending job stands behind is taken out on the way.
local function next_pending(priority)
  local queue = keys.jobs('pending', priority)
  for _ = 1, STALE_AT_MOST do
    local id = redis.call('ZRANGE', queue, 0, 0)[1]
    if not id then
      return nil
    end
    local job = find_job(id)
    if job and job.status == 'pending' then
      return job
    end
    redis.call('ZREM', queue, id)
  end
end

allow_when_full()
hear_from(executor_id, now_ms)
lose_expired_leases(now_ms, lease_ms, max_attempts, LOST_AT_MOST)
local job = next_pending('foreground') or next_pending('background') or next_pending('best_effort')
if not job then
  return nil
end
set_state(job, 'running')
local started_at_ms = whole(now_ms)
redis.call('HSET', keys.job(job.id), 'executor_id', executor_id, 'executor_ip', executor_ip, 'attempt_token',
  attempt_token, 'started_at_ms', started_at_ms)
redis.call('HINCRBY', keys.job(job.id), 'attempt', 1) -- the archive forgets, this does not
redis.call('ZADD', keys.deadlines, now_ms + lease_ms, job.id)
redis.call('SET', keys.lease(job.id), attempt_token, 'PX', lease_ms)
redis.call('ZADD', keys.held(executor_id), redis.call('INCR', keys.claims), job.id)
return read_job(job.id)

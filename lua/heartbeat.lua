-- heartbeat: Renews the lease of a running job for the executor that holds it.
-- STATES   running -> running
-- KEYS     1 root
-- ARGV     1 now_ms         the time in milliseconds, or "" for Redis's own
--          2 job_id
--          3 executor_id    who says it is still at work
--          4 attempt_token  from claim, or "" from a client that keeps none
--          5 lease_ms       how long it may stay silent from now on
-- RETURNS  the new deadline in milliseconds
-- ERRORS   JOB_NOT_FOUND NOT_HELD
-- USES     keys clock refuse allow_when_full find_job holds_lease hear_from
local now_ms = clock(ARGV[1])
local job_id = ARGV[2]
local executor_id = ARGV[3]
local attempt_token = ARGV[4]
local lease_ms = tonumber(ARGV[5])

local job = find_job(job_id)
if not job then
  return refuse('JOB_NOT_FOUND')
end
if not holds_lease(job, executor_id, attempt_token) then
  return refuse('NOT_HELD', job.status)
end
allow_when_full()
redis.call('ZADD', keys.deadlines, 'XX', now_ms + lease_ms, job_id)
redis.call('SET', keys.lease(job_id), job.attempt_token, 'PX', lease_ms)
hear_from(executor_id, now_ms)
return now_ms + lease_ms

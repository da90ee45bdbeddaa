-- heartbeat: Renews the lease of a running job for its holder, keeps the latest output of its program, and answers
-- whether the job's cancellation was requested.
-- STATUSES running -> running
-- KEYS     1 root
-- ARGV     1 now_ms         the time in milliseconds, or "" for Redis's own
--          2 job_id
--          3 executor_id    the executor that is still at work
--          4 attempt_token  from claim, or "" from a client that does not keep it
--          5 lease_ms       how long it may stay silent from now on
--          6 stdout_offset  how many bytes the program wrote before this output, or "" for no output
--          7 stdout         what it wrote after them
--          8 stderr_offset  the same for standard error
--          9 stderr         the same for standard error
-- RETURNS  the new deadline in milliseconds; 1 when cancellation was requested, else 0
-- ERRORS   JOB_NOT_FOUND NOT_HELD
-- USES     keys clock whole refuse is_full allow_when_full find_job holds_lease mark_seen notify keep_live
local now_ms = clock(ARGV[1])
local job_id = ARGV[2]
local executor_id = ARGV[3]
local attempt_token = ARGV[4]
local lease_ms = tonumber(ARGV[5])
local stdout_offset = tonumber(ARGV[6])
local stdout = ARGV[7]
local stderr_offset = tonumber(ARGV[8])
local stderr = ARGV[9]

local job = find_job(job_id)
if not job then
  return refuse('JOB_NOT_FOUND')
end
if not holds_lease(job, executor_id, attempt_token) then
  return refuse('NOT_HELD', job.status)
end
local full = is_full()
allow_when_full()
-- A late heartbeat still counts: as long as no sweep has ended the lease, nobody else can have been given the job, and
-- ending it now would only waste the work done so far.
redis.call('ZADD', keys.deadlines, 'XX', now_ms + lease_ms, job_id)
redis.call('SET', keys.lease(job_id), job.attempt_token, 'PX', lease_ms)
mark_seen(executor_id, now_ms)
if stdout_offset then
  keep_live(job_id, 'stdout', stdout_offset, stdout, full)
end
if stderr_offset then
  keep_live(job_id, 'stderr', stderr_offset, stderr, full)
end
return { now_ms + lease_ms, job.cancel_requested and 1 or 0 }

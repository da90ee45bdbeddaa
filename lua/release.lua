-- release: Releases a running job at the request of its holder: the job is pending again, at its old place in the
-- queue. The attempt does not count as lost. A job whose cancellation was requested ends as cancelled instead.
-- STATUSES running -> pending, running -> cancelled
-- KEYS     1 root
-- ARGV     1 now_ms         the time in milliseconds, or "" for Redis's own
--          2 job_id
--          3 executor_id    the executor that releases it
--          4 attempt_token  from claim, or "" from a client that does not keep it
--          5 reason         why, or "" for no reason
-- RETURNS  the job's new status
-- ERRORS   JOB_NOT_FOUND NOT_RUNNING LEASE_LOST
-- USES     keys clock whole refuse allow_when_full find_job set_status end_job drop_lease holds_lease refuse_non_holder
-- USES     archive_attempt requeue mark_seen
local now_ms = clock(ARGV[1])
local job_id = ARGV[2]
local executor_id = ARGV[3]
local attempt_token = ARGV[4]
local reason = ARGV[5]

local job = find_job(job_id)
if not job then
  return refuse('JOB_NOT_FOUND')
end
local refusal = refuse_non_holder(job, executor_id, attempt_token)
if refusal then
  return refusal
end
allow_when_full()
drop_lease(job)
archive_attempt(job, 'released', reason, now_ms)
if job.cancel_requested then
  end_job(job, 'cancelled', 'cancelled', now_ms)
else
  requeue(job)
end
mark_seen(executor_id, now_ms)
return job.status

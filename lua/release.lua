-- release: Gives a running job back to its old place in the queue, by the wish of the executor that holds it. That
-- attempt is no lost one. A job that somebody asked to stop ends instead.
-- STATES   running -> pending, running -> cancelled
-- KEYS     1 root
-- ARGV     1 now_ms         the time in milliseconds, or "" for Redis's own
--          2 job_id
--          3 executor_id    who gives it back
--          4 attempt_token  from claim, or "" from a client that keeps none
--          5 reason         why, or "" for no reason
-- RETURNS  the status that the job got
-- ERRORS   JOB_NOT_FOUND NOT_RUNNING LEASE_LOST
-- USES     keys clock whole refuse allow_when_full find_job set_state end_job drop_lease holds_lease refuse_stranger
-- USES     archive_attempt send_back hear_from
local now_ms = clock(ARGV[1])
local job_id = ARGV[2]
local executor_id = ARGV[3]
local attempt_token = ARGV[4]
local reason = ARGV[5]

local job = find_job(job_id)
if not job then
  return refuse('JOB_NOT_FOUND')
end
local refusal = refuse_stranger(job, executor_id, attempt_token)
if refusal then
  return refusal
end
allow_when_full()
drop_lease(job)
archive_attempt(job, 'released', reason, now_ms)
if job.cancel_requested then
  end_job(job, 'cancelled', 'cancelled', now_ms)
else
  send_back(job)
end
hear_from(executor_id, now_ms)
return job.status

-- cancel: Ends pending jobs before an executor claims them. Each job is answered for itself: one refusal does not stop
-- the others. With force, running jobs are asked to stop: their executors learn it from the next heartbeat.
-- STATUSES pending -> cancelled, running -> running
-- KEYS     1 root
-- ARGV     1 now_ms  the time in milliseconds, or "" for Redis's own
--          2 force   "force", or "" to refuse running jobs
--          3 caller  the name of its API token and its address, "-" for an unknown one, with a space between
--          then for each job:
--            job_id
-- RETURNS  for each job, in order: "" when it was cancelled, "cancel_requested" when it runs and was asked to stop,
--          else the refusal ("NOT_PENDING running")
-- ERRORS   none
-- USES     keys clock whole allow_when_full find_job notify set_status end_job record_activity
local now_ms = clock(ARGV[1])
local force = ARGV[2]
local caller = ARGV[3]

local cancelled, requested = 0, 0

local function cancel(id)
  local job = find_job(id)
  if not job then
    return 'JOB_NOT_FOUND'
  end
  if job.status == 'running' and force ~= '' then
    -- The job keeps its status: only its executor can stop the program, and it may still complete first. HSETNX keeps
    -- the time of the first request.
    requested = requested + redis.call('HSETNX', keys.job(id), 'cancel_requested_at_ms', whole(now_ms))
    return 'cancel_requested'
  end
  if job.status ~= 'pending' then
    return 'NOT_PENDING ' .. job.status
  end
  end_job(job, 'cancelled', 'cancelled', now_ms)
  cancelled = cancelled + 1
  return ''
end

allow_when_full()
local answers = {}
for index = 4, #ARGV do
  answers[index - 3] = cancel(ARGV[index])
end
local target = #answers == 1 and ARGV[4] or '-'
if cancelled > 0 then
  record_activity(now_ms, caller, 'cancel', target, cancelled)
end
if requested > 0 then
  record_activity(now_ms, caller, 'cancel_running', target, requested)
end
return answers

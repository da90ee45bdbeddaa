-- cancel: Ends pending jobs before anybody claims them, each on its own: one refusal does not stop the others.
-- STATES   pending -> cancelled
-- KEYS     1 root
-- ARGV     1 now_ms   the time in milliseconds, or "" for Redis's own
--          then for each job:
--            job_id
-- RETURNS  for each job, in order: "" when it was cancelled, else the refusal ("NOT_PENDING running")
-- ERRORS   none
-- USES     keys clock whole allow_when_full find_job set_state end_job
local now_ms = clock(ARGV[1])

local function cancel(id)
  local job = find_job(id)
  if not job then
    return 'JOB_NOT_FOUND'
  end
  if job.status ~= 'pending' then
    return 'NOT_PENDING ' .. job.status
  end
  end_job(job, 'cancelled', now_ms)
  return ''
end

allow_when_full()
local answers = {}
for index = 2, #ARGV do
  answers[index - 1] = cancel(ARGV[index])
end
return answers

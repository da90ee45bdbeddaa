-- The refusal of who speaks for the end of an attempt that it does not hold; nil for the holder of a running job.
local function refuse_stranger(job, executor_id, attempt_token)
  if job.status ~= 'running' then
    return refuse('NOT_RUNNING', job.status)
  end
  if not holds_lease(job, executor_id, attempt_token) then
    return refuse('LEASE_LOST', job.status)
  end
end

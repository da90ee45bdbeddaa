-- Returns the refusal for an executor that does not hold the lease of the job it wants to end or release; nil for the
-- holder.
local function refuse_non_holder(job, executor_id, attempt_token, owner)
  if job.status ~= 'running' then
    return refuse('NOT_RUNNING', job.status)
  end
  if not holds_lease(job, executor_id, attempt_token, owner) then
    return refuse('LEASE_LOST', job.status)
  end
end

-- Whether a running job is this executor's: its id must match and, when the caller sends a token, so must that.
-- Callers without one are told apart by their id alone, which cannot tell two attempts of one executor apart.
local function holds_lease(job, executor_id, attempt_token)
  return job.status == 'running' and job.executor_id == executor_id
    and (attempt_token == '' or job.attempt_token == attempt_token)
end

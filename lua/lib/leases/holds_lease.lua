-- Returns whether an executor holds the lease of a job: the job runs and belongs to it, the executor's id matches and,
-- if the caller sends a token, the token matches. A caller without a token is identified by its id alone, which cannot
-- distinguish two attempts of one executor.
local function holds_lease(job, executor_id, attempt_token, owner)
  return job.status == 'running' and job.executor_id == executor_id
    and (attempt_token == '' or job.attempt_token == attempt_token) and belongs_to(job, owner)
end

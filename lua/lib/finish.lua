-- Ends a running job with the result its executor reports; returns 1 when that very result was stored before.
-- Such a repeat is told by the attempt token, and only by that: it is how an executor whose answer got lost on the
-- way learns that its result is safe. Without a token a second report is refused as any other would be.
local function finish(status, report)
  local job = find_job(report.job_id)
  if not job then
    return refuse('JOB_NOT_FOUND')
  end
  if job.status == status and report.attempt_token ~= '' and report.attempt_token == job.attempt_token then
    local stored = redis.call('HMGET', keys.output(job.id), 'stdout', 'stderr', 'error_message')
    local exit_code = redis.call('HGET', keys.job(job.id), 'exit_code') or ''
    if exit_code == report.exit_code and (stored[1] or '') == report.stdout and (stored[2] or '') == report.stderr
      and (stored[3] or '') == report.error_message then
      return 1
    end
  end
  if job.status ~= 'running' then
    return refuse('NOT_RUNNING', job.status)
  end
  if not holds_lease(job, report.executor_id, report.attempt_token) then
    return refuse('LEASE_LOST', job.status)
  end
  allow_when_full()
  drop_lease(job)
  end_job(job, status, report.now_ms)
  if report.exit_code ~= '' then
    redis.call('HSET', keys.job(job.id), 'exit_code', report.exit_code)
  end
  for _, name in ipairs({ 'stdout', 'stderr', 'error_message' }) do
    if report[name] ~= '' then
      redis.call('HSET', keys.output(job.id), name, report[name])
    end
  end
  hear_from(report.executor_id, report.now_ms)
  return 0
end

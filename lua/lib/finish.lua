-- Ends a running job with the result its executor reports; returns 1 when that very result was stored before, else 0,
-- and the status that the job got.
-- Such a repeat is told by the attempt token, and only by that: it is how an executor whose answer got lost on the
-- way learns that its result is safe. Without a token a second report is refused as any other would be.

-- A job that somebody asked to stop has not failed when its executor stopped it.
local function outcome(job, status, report)
  local stopped = report.reason == '' or report.reason == 'cancelled'
  return job.cancel_requested and status == 'failed' and stopped and 'cancelled' or status
end

local function reason_of(status, report)
  if report.reason ~= '' then
    return report.reason
  end
  if status == 'cancelled' then
    return 'cancelled'
  end
  return report.exit_code ~= '' and 'exited' or ''
end

local function is_stored(job, report, reason)
  local ended = redis.call('HMGET', keys.job(job.id), 'exit_code', 'reason')
  local output = redis.call('HMGET', keys.output(job.id), 'stdout', 'stderr', 'error_message', 'measured')
  return (ended[1] or '') == report.exit_code and (ended[2] or '') == reason
    and (output[1] or '') == report.stdout and (output[2] or '') == report.stderr
    and (output[3] or '') == report.error_message and (output[4] or '') == report.measured
end

local function finish(reported, report)
  local job = find_job(report.job_id)
  if not job then
    return refuse('JOB_NOT_FOUND')
  end
  local status = outcome(job, reported, report)
  local reason = reason_of(status, report)
  if job.status == status and report.attempt_token ~= '' and report.attempt_token == job.attempt_token
    and is_stored(job, report, reason) then
    return { 1, status }
  end
  local refusal = refuse_stranger(job, report.executor_id, report.attempt_token)
  if refusal then
    return refusal
  end
  allow_when_full()
  drop_lease(job)
  end_job(job, status, reason, report.now_ms)
  if report.exit_code ~= '' then
    redis.call('HSET', keys.job(job.id), 'exit_code', report.exit_code)
  end
  for _, name in ipairs({ 'stdout', 'stderr', 'error_message', 'measured' }) do
    if report[name] ~= '' then
      redis.call('HSET', keys.output(job.id), name, report[name])
    end
  end
  hear_from(report.executor_id, report.now_ms)
  return { 0, status }
end

-- Ends a running job with the result that its executor reports. Returns 1 for a replay, when this very result is stored
-- already, else 0; and the job's new status.

-- Returns the status that a report gives the job. When cancellation was requested, a failure whose reason is the
-- cancellation, or which gives no reason, is the stop that was asked for. A failure with another reason came before the
-- stop and stays a failure; a completed job stays completed.
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

-- Returns whether the stored result is the reported one, byte for byte.
local function is_replay(job, report, reason)
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
  -- An executor whose answer got lost sends its report again and must learn that the result is safe. Only the attempt
  -- token proves that the two reports come from one attempt: the same executor may have claimed the job twice. Without
  -- a token, the second report is therefore refused below. With the token but another result it is refused as well, so
  -- that a stored result never changes.
  if job.status == status and report.attempt_token ~= '' and report.attempt_token == job.attempt_token
    and is_replay(job, report, reason) then
    return { 1, status }
  end
  local refusal = refuse_non_holder(job, report.executor_id, report.attempt_token)
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
  mark_seen(report.executor_id, report.now_ms)
  return { 0, status }
end

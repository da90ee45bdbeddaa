-- Archives an attempt that ended without ending its job, as one line of words without white space: its status, when it
-- started, when it ended (milliseconds), the executor's address ("-" when unknown), the executor's id, and the reason
-- if there is one. The newest hundred attempts are kept. Deleting the token makes the end of the attempt final: no
-- later report can match it.
local function archive_attempt(job, status, reason, now_ms)
  local line = table.concat(
    { status, job.started_at_ms, whole(now_ms), job.executor_ip, job.executor_id, reason ~= '' and reason or nil }, ' ')
  redis.call('RPUSH', keys.attempts(job.id), line)
  redis.call('LTRIM', keys.attempts(job.id), -100, -1)
  redis.call('HDEL', keys.job(job.id), 'attempt_token')
end

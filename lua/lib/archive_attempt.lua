-- Writes down an attempt that ended without ending its job, one line of words without white space in them:
-- status, started at, ended at (milliseconds), the executor's address ("-" when unknown), the executor's id, and the
-- reason when there is one. The newest hundred are kept. Deleting the token is what makes it final: nobody can match
-- it any more.
local function archive_attempt(job, status, reason, now_ms)
  local line = table.concat(
    { status, job.started_at_ms, whole(now_ms), job.executor_ip, job.executor_id, reason ~= '' and reason or nil }, ' ')
  redis.call('RPUSH', keys.attempts(job.id), line)
  redis.call('LTRIM', keys.attempts(job.id), -100, -1)
  redis.call('HDEL', keys.job(job.id), 'attempt_token')
end

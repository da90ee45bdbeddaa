-- Archives an attempt that ended without ending its job, as one line of words without white space: its status, when it
-- started, when it ended (milliseconds), the executor's address ("-" when unknown), the executor's id, the reason ("-"
-- when unknown), and then the executor's message, which may have spaces. What is unknown at the end of a line is left
-- out. The newest hundred attempts are kept. Deleting the token makes the end of the attempt final: no later report can
-- match it. Its owner goes with it.
local function archive_attempt(job, status, reason, now_ms, error_message)
  local words = { status, job.started_at_ms, whole(now_ms), job.executor_ip, job.executor_id }
  if reason ~= '' or error_message ~= '' then
    words[#words + 1] = reason ~= '' and reason or '-'
  end
  if error_message ~= '' then
    words[#words + 1] = error_message
  end
  redis.call('RPUSH', keys.attempts(job.id), table.concat(words, ' '))
  redis.call('LTRIM', keys.attempts(job.id), -100, -1)
  redis.call('HDEL', keys.job(job.id), 'attempt_token', 'owner')
end

-- Gives a job its last status, and the reason for it ("" when nobody knows): from here on only retention touches it.
local function end_job(job, status, reason, now_ms)
  set_state(job, status)
  redis.call('HSET', keys.job(job.id), 'completed_at_ms', whole(now_ms))
  if reason ~= '' then
    redis.call('HSET', keys.job(job.id), 'reason', reason)
  end
  redis.call('ZADD', keys.ended, now_ms, job.id)
  redis.call('HINCRBY', keys.counters, 'finished_' .. status, 1)
end

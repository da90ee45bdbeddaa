-- Gives a job its last status: from here on only retention touches it.
local function end_job(job, status, now_ms)
  set_state(job, status)
  redis.call('HSET', keys.job(job.id), 'completed_at_ms', whole(now_ms))
  redis.call('ZADD', keys.ended, now_ms, job.id)
  redis.call('HINCRBY', keys.counters, 'finished_' .. status, 1)
end

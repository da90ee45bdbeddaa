-- Gives a job its final status and the reason for it ("" when unknown). From here on only retention changes the job.
local function end_job(job, status, reason, now_ms)
  set_status(job, status)
  redis.call('HSET', keys.job(job.id), 'completed_at_ms', whole(now_ms))
  if reason ~= '' then
    redis.call('HSET', keys.job(job.id), 'reason', reason)
  end
  if job.released_by then
    redis.call('HDEL', keys.job(job.id), 'released_by', 'others_first_until_ms')
  end
  redis.call('ZADD', keys.ended, now_ms, job.id)
  redis.call('HINCRBY', keys.counters, 'finished_' .. status, 1)
  notify(keys.job(job.id), 'ended')
end

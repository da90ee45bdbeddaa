-- Gives a job its final status and the reason for it ("" when unknown), together with `fields`, a list of more fields
-- and values for its hash (nil for none). From here on only retention changes the job.
local function end_job(job, status, reason, now_ms, fields)
  fields = fields or {}
  fields[#fields + 1] = 'completed_at_ms'
  fields[#fields + 1] = whole(now_ms)
  if reason ~= '' then
    fields[#fields + 1] = 'reason'
    fields[#fields + 1] = reason
  end
  set_status(job, status, nil, fields)
  if job.released_by then
    redis.call('HDEL', keys.job(job.id), 'released_by', 'others_first_until_ms')
  end
  redis.call('RPUSH', keys.endings, whole(now_ms) .. ':' .. job.id)
  redis.call('HINCRBY', keys.counters, 'finished_' .. status, 1)
  notify(keys.job(job.id), 'ended')
end

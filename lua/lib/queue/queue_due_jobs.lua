-- Puts at most `limit` delayed jobs whose time has come into their queues, each at its old place. Returns how many.
local function queue_due_jobs(now_ms, limit)
  local due = redis.call('ZRANGEBYSCORE', keys.due, '-inf', now_ms, 'LIMIT', 0, limit)
  for _, id in ipairs(due) do
    local job = find_job(id)
    if job and job.index == 'delayed' then
      set_status(job, 'pending')
    else
      -- An entry without a delayed job should not exist. If it does, it must not use up the limit of every sweep.
      redis.call('ZREM', keys.due, id)
    end
  end
  return #due
end

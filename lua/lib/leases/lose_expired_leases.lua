-- Ends at most `limit` expired leases and returns how many it ended. Each job becomes pending again at its old place in
-- the queue, or ends: as cancelled when its cancellation was requested, as failed when it has lost as many executors as
-- it may.
local function lose_expired_leases(now_ms, lease_ms, max_attempts, limit)
  if in_grace(now_ms, lease_ms) then
    return 0
  end
  local expired = redis.call('ZRANGEBYSCORE', keys.deadlines, '-inf', now_ms, 'LIMIT', 0, limit)
  local ended = 0
  for _, id in ipairs(expired) do
    local job = find_job(id)
    if job and job.status == 'running' then
      ended = ended + 1
      drop_lease(job)
      archive_attempt(job, 'lost', 'lease_lost', now_ms, '')
      redis.call('HINCRBY', keys.counters, 'attempts_lost', 1)
      local lost = redis.call('HINCRBY', keys.job(id), 'lost_attempts', 1)
      if job.cancel_requested then
        end_job(job, 'cancelled', 'cancelled', now_ms)
      elseif lost >= max_attempts then
        -- A job that brings down every executor that runs it must not bring down the next one as well.
        end_job(job, 'failed', 'lease_lost', now_ms)
        redis.call('HSET', keys.output(id), 'error_message', string.format(
          'lost %d of at most %d executors: the last one, %s, fell silent for %g seconds',
          lost, max_attempts, job.executor_id, lease_ms / 1000))
      else
        requeue(job)
      end
    else
      -- A deadline without a running job should not exist. If it does, it must not use up the limit of every sweep.
      redis.call('ZREM', keys.deadlines, id)
    end
  end
  return ended
end

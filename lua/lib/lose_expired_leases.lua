-- Takes jobs back from executors that fell silent, at most `limit` of them: each goes back to its old place in the
-- queue, or ends: as cancelled when somebody asked it to stop, as failed when it has lost as many executors as it may.
-- Returns how many it took back.
local function lose_expired_leases(now_ms, lease_ms, max_attempts, limit)
  if in_grace(now_ms, lease_ms) then
    return 0
  end
  local expired = redis.call('ZRANGEBYSCORE', keys.deadlines, '-inf', now_ms, 'LIMIT', 0, limit)
  local taken_back = 0
  for _, id in ipairs(expired) do
    local job = find_job(id)
    if job and job.status == 'running' then
      taken_back = taken_back + 1
      drop_lease(job)
      archive_attempt(job, 'lost', 'lease_lost', now_ms)
      redis.call('HINCRBY', keys.counters, 'attempts_lost', 1)
      local lost = redis.call('HINCRBY', keys.job(id), 'lost_attempts', 1)
      if job.cancel_requested then
        end_job(job, 'cancelled', 'cancelled', now_ms)
      elseif lost >= max_attempts then
        end_job(job, 'failed', 'lease_lost', now_ms)
        redis.call('HSET', keys.output(id), 'error_message', string.format(
          'lost %d of at most %d executors: the last one, %s, fell silent for %g seconds',
          lost, max_attempts, job.executor_id, lease_ms / 1000))
      else
        send_back(job)
      end
    else
      redis.call('ZREM', keys.deadlines, id)
    end
  end
  return taken_back
end

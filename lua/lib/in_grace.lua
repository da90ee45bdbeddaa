-- Whether leases must not be ended just now. When nothing swept for longer than half a lease (and 2 s), the queue
-- itself was away: no executor could have renewed its lease. Each then gets one whole lease to be heard from again.
local function in_grace(now_ms, lease_ms)
  local sweep = redis.call('HMGET', keys.sweep, 'swept_at_ms', 'grace_until_ms')
  local silence_ms = now_ms - (tonumber(sweep[1] or nil) or now_ms)
  local grace_until_ms = tonumber(sweep[2] or nil) or 0
  if silence_ms > math.max(lease_ms / 2, 2000) then
    grace_until_ms = now_ms + lease_ms
    redis.call('HSET', keys.sweep, 'grace_until_ms', whole(grace_until_ms))
  end
  redis.call('HSET', keys.sweep, 'swept_at_ms', whole(now_ms))
  local left_ms = grace_until_ms - now_ms
  return left_ms > 0 and left_ms <= lease_ms -- more than a lease is left only when the clock was set back
end

-- Returns whether leases must not be ended now, because the queue itself was away; notes that a sweep has happened.
--
-- Every server sweeps twice a second. When nothing has swept for half a lease, Redis or all servers were down and no
-- executor could renew its lease. Ending the leases now would give every running job to a second executor. So each gets
-- one whole lease, from now on, to be renewed. Leases may be very short in tests and small deployments: two seconds
-- without a sweep are never an absence, or one slow sweep would suspend the ending of leases for good.
local function in_grace(now_ms, lease_ms)
  local sweep = redis.call('HMGET', keys.sweep, 'swept_at_ms', 'grace_until_ms')
  local silence_ms = now_ms - (tonumber(sweep[1] or nil) or now_ms) -- the first sweep ever follows no absence
  local grace_until_ms = tonumber(sweep[2] or nil) or 0
  if silence_ms > math.max(lease_ms / 2, 2000) then
    grace_until_ms = now_ms + lease_ms
    redis.call('HSET', keys.sweep, 'grace_until_ms', whole(grace_until_ms))
  end
  redis.call('HSET', keys.sweep, 'swept_at_ms', whole(now_ms))
  -- More than one lease can be left only when the clock was set back. That grace is void: it could last for years.
  local left_ms = grace_until_ms - now_ms
  return left_ms > 0 and left_ms <= lease_ms
end

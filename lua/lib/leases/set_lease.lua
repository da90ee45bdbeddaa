-- Gives a running job a lease that ends `lease_ms` from now: when it is claimed, and whenever its holder renews it.
--
-- The sorted set of deadlines decides when the lease ends. The key with a TTL may vanish at any time (eviction) and is
-- only a hint for people who look at Redis.
local function set_lease(job, now_ms, lease_ms)
  redis.call('ZADD', keys.deadlines, now_ms + lease_ms, job.id)
  redis.call('SET', keys.lease(job.id), job.attempt_token, 'PX', lease_ms)
end

-- Notes that an executor has just been seen. Returns 1 when it is new, else 0.
local function mark_seen(executor_id, now_ms)
  return redis.call('ZADD', keys.executors, now_ms, executor_id)
end

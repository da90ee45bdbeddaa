-- Notes that an executor has just been seen.
local function mark_seen(executor_id, now_ms)
  redis.call('ZADD', keys.executors, now_ms, executor_id)
end

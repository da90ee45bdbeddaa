-- Notes that an executor gave a sign of life.
local function hear_from(executor_id, now_ms)
  redis.call('ZADD', keys.executors, now_ms, executor_id)
end

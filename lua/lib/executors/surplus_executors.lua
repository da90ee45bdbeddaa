-- Returns the executors that are more than may be remembered, the longest silent first, at most `limit`. Ids are chosen
-- by clients: without a bound, memory and lists could grow until the executor time-out ends. New ids come with claims,
-- one with each, so a claim that forgets more than one keeps to the bound, and returns to it. `executor_limit` is as in
-- is_surplus_executor: as many are remembered as may be active, if that is more.
local function surplus_executors(limit, executor_limit)
  local MAX_EXECUTORS = 10000
  local max_executors = math.max(tonumber(string.match(executor_limit, '^%d+') or 0), MAX_EXECUTORS)
  local surplus = math.min(redis.call('ZCARD', keys.executors) - max_executors, limit)
  return surplus > 0 and redis.call('ZRANGE', keys.executors, 0, surplus - 1) or {}
end

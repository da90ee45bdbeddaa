-- Returns whether an executor would be one too many: as many as may be listed are active, and it is none of them and
-- runs no job. `limit` has the most executors, and the silence in milliseconds after which one is no longer active; ""
-- if they are not limited.
local function is_surplus_executor(executor_id, now_ms, limit)
  if limit == '' then
    return false
  end
  local max_executors, timeout_ms = string.match(limit, '^(%d+) (%d+)$')
  local too_long_ago = now_ms - timeout_ms
  local seen_at_ms = tonumber(redis.call('ZSCORE', keys.executors, executor_id) or nil)
  if (seen_at_ms and seen_at_ms > too_long_ago) or redis.call('EXISTS', keys.held(executor_id)) == 1 then
    return false
  end
  return redis.call('ZCOUNT', keys.executors, '(' .. whole(too_long_ago), '+inf') >= tonumber(max_executors)
end

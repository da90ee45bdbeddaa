-- What a script must know of a job before it may change it; nil when there is none.
local function find_job(id)
  local found = redis.call('HMGET', keys.job(id), 'status', 'priority', 'type', 'sequence', 'executor_id',
    'executor_ip', 'attempt_token', 'started_at_ms', 'cancel_requested_at_ms')
  if not found[1] then
    return nil
  end
  return {
    id = id, status = found[1], priority = found[2], type = found[3], sequence = found[4], executor_id = found[5],
    executor_ip = found[6], attempt_token = found[7], started_at_ms = found[8],
    cancel_requested = found[9],
  }
end

-- Returns what a script must know about a job before it may change it; nil when the job does not exist.
local function find_job(id)
  local fields = redis.call('HMGET', keys.job(id), 'status', 'priority', 'type', 'sequence', 'executor_id',
    'executor_ip', 'attempt_token', 'started_at_ms', 'cancel_requested_at_ms')
  if not fields[1] then
    return nil
  end
  return {
    id = id, status = fields[1], priority = fields[2], type = fields[3], sequence = fields[4], executor_id = fields[5],
    executor_ip = fields[6], attempt_token = fields[7], started_at_ms = fields[8],
    cancel_requested = fields[9],
  }
end

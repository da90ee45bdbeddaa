-- Returns what a script must know about a job before it may change it; nil when the job does not exist. `index` is the
-- word under which the two indexes that hold the job are named: its status or, for a pending job that must not be
-- handed out yet, "delayed".
local function find_job(id)
  local fields = redis.call('HMGET', keys.job(id), 'status', 'priority', 'type', 'sequence', 'executor_id',
    'executor_ip', 'attempt_token', 'started_at_ms', 'cancel_requested_at_ms', 'not_before_ms', 'released_by',
    'others_first_until_ms', 'created_at_ms', 'attempt', 'owner')
  if not fields[1] then
    return nil
  end
  return {
    id = id, status = fields[1], priority = fields[2], type = fields[3], sequence = fields[4], executor_id = fields[5],
    executor_ip = fields[6], attempt_token = fields[7], started_at_ms = fields[8],
    cancel_requested = fields[9],
    index = fields[10] and 'delayed' or fields[1],
    released_by = fields[11], others_first_until_ms = fields[12],
    created_at_ms = fields[13], attempt = fields[14], owner = fields[15],
  }
end

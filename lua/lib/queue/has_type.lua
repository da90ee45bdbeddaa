-- Returns whether any job has this type, whatever its status.
local function has_type(type)
  local indexes = keys_of({ 'pending', 'delayed', 'running', 'completed', 'failed', 'cancelled' }, type)
  return redis.call('EXISTS', unpack(indexes)) > 0
end

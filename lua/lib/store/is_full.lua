-- Returns whether Redis is at maxmemory, so that it would refuse a write that needs memory. The write that is tried
-- adds nothing to a key that does not exist, so it makes nothing. It must come before the script's first write: after
-- that, Redis refuses no write of the script.
local function is_full()
  local reply = redis.pcall('SETRANGE', keys.absent, 0, '')
  return type(reply) == 'table' and string.find(reply.err or '', '^%-?OOM') ~= nil
end

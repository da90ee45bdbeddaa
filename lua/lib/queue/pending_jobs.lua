-- Returns how many jobs are pending, of one type or of all, delayed ones included: the sizes of six indexes, however
-- many jobs there are.
local function pending_jobs(type)
  local total = 0
  for _, index in ipairs(keys_of(indexes_of('pending'), type)) do
    total = total + redis.call('ZCARD', index)
  end
  return total
end

-- Returns everything that is stored about a job: its id, its hash, its spec, its archived attempts and its output.
-- What cannot be there is not looked for: among a million jobs, each key costs several cache misses.
local function read_job(id)
  local fields, value = redis.call('HGETALL', keys.job(id)), {}
  for index = 1, #fields, 2 do
    value[fields[index]] = fields[index + 1]
  end
  local archived = tonumber(value.attempt or 0) > (value.attempt_token and 1 or 0)
  return {
    id,
    fields,
    not value.spec and redis.call('GET', keys.spec(id)) or '',
    archived and redis.call('LRANGE', keys.attempts(id), 0, -1) or {},
    value.completed_at_ms and redis.call('HGETALL', keys.output(id)) or {},
  }
end

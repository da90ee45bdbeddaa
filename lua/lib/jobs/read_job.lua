-- Returns everything that is stored about a job: its id, its hash, its spec, its archived attempts and its output.
local function read_job(id)
  return {
    id,
    redis.call('HGETALL', keys.job(id)),
    redis.call('GET', keys.spec(id)) or '',
    redis.call('LRANGE', keys.attempts(id), 0, -1),
    redis.call('HGETALL', keys.output(id)),
  }
end

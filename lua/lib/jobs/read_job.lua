-- Returns everything that is stored about a job: its id, its hash, its spec, its archived attempts and its output. A
-- job that has just been claimed has no output, so a claim does not look for it.
local function read_job(id, without_output)
  return {
    id,
    redis.call('HGETALL', keys.job(id)),
    redis.call('GET', keys.spec(id)) or '',
    redis.call('LRANGE', keys.attempts(id), 0, -1),
    without_output and {} or redis.call('HGETALL', keys.output(id)),
  }
end

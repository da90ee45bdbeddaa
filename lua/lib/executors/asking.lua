-- Who asks for jobs: the executors that have made a claim within the last ten seconds. An executor whose slots are all
-- busy does not ask.
local asking = { WITHIN_MS = 10000, MAX_ASKERS = 1000 }

-- Notes that an executor asks. Ids are chosen by clients, so the set must stay small however many there are: beyond
-- MAX_ASKERS the longest silent go, a few for each new one. Then there are askers enough in any case.
function asking.note(executor_id, now_ms)
  if redis.call('ZADD', keys.askers, now_ms, executor_id) == 0 then
    return
  end
  local surplus = math.min(redis.call('ZCARD', keys.askers) - asking.MAX_ASKERS, 3)
  if surplus > 0 then
    redis.call('ZREMRANGEBYRANK', keys.askers, 0, surplus - 1)
  end
end

-- Forgets at most `limit` executors that no longer ask.
function asking.forget(now_ms, limit)
  local silent = redis.call('ZRANGEBYSCORE', keys.askers, '-inf', now_ms - asking.WITHIN_MS, 'LIMIT', 0, limit)
  if #silent > 0 then
    redis.call('ZREM', keys.askers, unpack(silent))
  end
end

-- Returns whether an executor asks that is not in `excluded`, a list of ids separated by spaces. After the clock was
-- set back, a time in the future says nothing about whether its executor still asks.
function asking.anybody_but(excluded, now_ms)
  local too_long_ago = now_ms - asking.WITHIN_MS
  local others = redis.call('ZCOUNT', keys.askers, '(' .. whole(too_long_ago), now_ms)
  for executor_id in string.gmatch(excluded, '%S+') do
    local asked_at_ms = tonumber(redis.call('ZSCORE', keys.askers, executor_id) or nil)
    if asked_at_ms and asked_at_ms > too_long_ago and asked_at_ms <= now_ms then
      others = others - 1
    end
  end
  return others > 0
end

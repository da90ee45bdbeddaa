-- Records who did what, as one line of words without white space: when (milliseconds), the name of the API token and
-- the address of the caller ("-" for an unknown one; `caller` is both with a space between), what was done, to what
-- ("-" for several), and to how many. The newest MAX_ACTIVITY lines are kept. All are counted, so that each has a
-- number for good: the newest one has the count.
local MAX_ACTIVITY = 10000

local function record_activity(now_ms, caller, action, target, count)
  redis.call('RPUSH', keys.activity, table.concat({ whole(now_ms), caller, action, target, whole(count) }, ' '))
  redis.call('LTRIM', keys.activity, -MAX_ACTIVITY, -1)
  redis.call('HINCRBY', keys.counters, 'activity', 1)
end

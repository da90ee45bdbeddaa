-- count: Counts a request of a caller in a window of time. A window begins with its first request, and is forgotten at
-- its end.
-- STATUSES (none) -> (none)
-- KEYS     1 root
-- ARGV     1 window     the caller and the rate limit that the window belongs to
--          2 length_ms  how long it lasts
-- RETURNS  the number of requests in the window, this one included; the number of milliseconds until it ends
-- ERRORS   none
-- USES     keys allow_when_full
local window = ARGV[1]
local length_ms = tonumber(ARGV[2])

-- A full Redis must not lift the limit for whoever has filled it. The key is small, and goes by itself.
allow_when_full()
local count = redis.call('INCR', keys.rate(window))
local left_ms = count > 1 and redis.call('PTTL', keys.rate(window)) or -1
if left_ms < 0 then
  redis.call('PEXPIRE', keys.rate(window), length_ms)
  left_ms = length_ms
end
return { count, left_ms }

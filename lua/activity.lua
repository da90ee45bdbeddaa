-- activity: Reads one page of the record of activity, newest first.
-- STATUSES none
-- KEYS     1 root
-- ARGV     1 limit  the size of the page
--          2 below  the number of the entry below which the page begins, or "" for the newest
-- RETURNS  the number of entries that are kept; the number of the last entry of the page, or 0 when none follows; then
--          the entries, as record_activity writes them
-- ERRORS   none
-- USES     keys
local limit = tonumber(ARGV[1])
local below = tonumber(ARGV[2])

local total = redis.call('LLEN', keys.activity)
local newest = tonumber(redis.call('HGET', keys.counters, 'activity') or 0)
-- How many entries are newer than the page. Entries that a page before has shown may be gone: then this one is empty.
local newer = math.max(newest + 1 - (below or newest + 1), 0)
local answer = { total, 0 }
if newer >= total then
  return answer
end
local entries = redis.call('LRANGE', keys.activity, -newer - limit, -newer - 1)
for index = #entries, 1, -1 do
  answer[#answer + 1] = entries[index]
end
if newer + #entries < total then
  answer[2] = newest - newer - #entries + 1
end
return answer

-- stats: Counts what the queue holds, from the sizes of its indexes. Every number comes with its name, so that a caller
-- does not depend on the order in which they are counted.
-- STATUSES none
-- KEYS     1 root
-- ARGV     1 now_ms               the time in milliseconds, or "" for Redis's own
--          2 statuses             the statuses to count, separated by spaces
--          3 priorities           the priorities to count, separated by spaces
--          4 executor_timeout_ms  silence after which an executor is no longer active
--          5 counters             the running totals to read, separated by spaces
-- RETURNS  names and numbers in turn: <status>:<priority> with the number of jobs; oldest_pending_ms:<priority> with
--          how long the oldest pending job has waited, 0 for none; each counter with its total; active_executors
-- ERRORS   none
-- USES     keys clock whole
local now_ms = clock(ARGV[1])
local statuses = ARGV[2]
local priorities = ARGV[3]
local executor_timeout_ms = tonumber(ARGV[4])
local counters = ARGV[5]
local answer = {}

local function add(name, number)
  answer[#answer + 1] = name
  answer[#answer + 1] = number
end

for status in string.gmatch(statuses, '%S+') do
  for priority in string.gmatch(priorities, '%S+') do
    add(status .. ':' .. priority, redis.call('ZCARD', keys.jobs(status, priority)))
  end
end
for priority in string.gmatch(priorities, '%S+') do
  local oldest = redis.call('ZRANGE', keys.jobs('pending', priority), 0, 0)[1]
  local created_at_ms = oldest and tonumber(redis.call('HGET', keys.job(oldest), 'created_at_ms') or nil)
  add('oldest_pending_ms:' .. priority, created_at_ms and math.max(now_ms - created_at_ms, 0) or 0)
end
for counter in string.gmatch(counters, '%S+') do
  add(counter, tonumber(redis.call('HGET', keys.counters, counter) or 0))
end
local too_long_ago = '(' .. whole(now_ms - executor_timeout_ms)
add('active_executors', redis.call('ZCOUNT', keys.executors, too_long_ago, '+inf'))
return answer

-- stats: Counts what the queue holds, from the sizes of its indexes. Each list of the answer follows the order of the
-- arguments, so a caller pairs it with the words that it passed. A name beside every number would cost a fifth more.
-- STATUSES none
-- KEYS     1 root
-- ARGV     1 now_ms               the time in milliseconds, or "" for Redis's own
--          2 statuses             the statuses to count, separated by spaces
--          3 priorities           the priorities to count, separated by spaces
--          4 executor_timeout_ms  silence after which an executor is no longer active
--          5 counters             the running totals to read, separated by spaces
-- RETURNS  five elements: a list with the number of jobs for each status and, within it, each priority; a list with how
--          many milliseconds the oldest pending job of each priority has waited, 0 for none; a list with the total of
--          each counter; the number of active executors; the number of executors that run jobs
-- ERRORS   none
-- USES     keys clock whole indexes_of
local now_ms = clock(ARGV[1])
local statuses = ARGV[2]
local priorities = ARGV[3]
local executor_timeout_ms = tonumber(ARGV[4])
local counters = ARGV[5]

-- Counts the jobs of a status and a priority.
local function count(status, priority)
  local total = 0
  for _, index in ipairs(indexes_of(status)) do
    total = total + redis.call('ZCARD', keys.jobs(index, priority))
  end
  return total
end

-- Returns how long the oldest pending job of a priority has waited: the one with the lowest sequence number.
local function oldest_wait_ms(priority)
  local oldest, lowest
  for _, index in ipairs(indexes_of('pending')) do
    local first = redis.call('ZRANGE', keys.jobs(index, priority), 0, 0, 'WITHSCORES')
    if first[1] and (not lowest or tonumber(first[2]) < lowest) then
      oldest, lowest = first[1], tonumber(first[2])
    end
  end
  local created_at_ms = oldest and tonumber(redis.call('HGET', keys.job(oldest), 'created_at_ms') or nil)
  return created_at_ms and math.max(now_ms - created_at_ms, 0) or 0
end

local jobs, oldest_pending_ms, totals = {}, {}, {}
for status in string.gmatch(statuses, '%S+') do
  for priority in string.gmatch(priorities, '%S+') do
    jobs[#jobs + 1] = count(status, priority)
  end
end
for priority in string.gmatch(priorities, '%S+') do
  oldest_pending_ms[#oldest_pending_ms + 1] = oldest_wait_ms(priority)
end
for counter in string.gmatch(counters, '%S+') do
  totals[#totals + 1] = tonumber(redis.call('HGET', keys.counters, counter) or 0)
end
local too_long_ago = '(' .. whole(now_ms - executor_timeout_ms)
local active = redis.call('ZCOUNT', keys.executors, too_long_ago, '+inf')
return { jobs, oldest_pending_ms, totals, active, redis.call('ZCARD', keys.busy) }

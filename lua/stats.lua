-- stats: Counts everything the queue can count, from the sizes of its indexes.
-- STATES   none
-- KEYS     1 root
-- ARGV     1 now_ms               the time in milliseconds, or "" for Redis's own
--          2 statuses             the statuses to count, with spaces between
--          3 priorities           the priorities to count, with spaces between
--          4 executor_timeout_ms  silence after which an executor is no longer active
--          5 counters             the running totals to read, with spaces between
-- RETURNS  for each status, for each priority: the number of jobs; then for each priority the milliseconds that its
--          oldest pending job has waited; then for each counter its total; then the number of active executors
-- ERRORS   none
-- USES     keys clock whole
local now_ms = clock(ARGV[1])
local statuses = ARGV[2]
local priorities = ARGV[3]
local executor_timeout_ms = tonumber(ARGV[4])
local counters = ARGV[5]
local answer = {}

for status in string.gmatch(statuses, '%S+') do
  for priority in string.gmatch(priorities, '%S+') do
    answer[#answer + 1] = redis.call('ZCARD', keys.jobs(status, priority))
  end
end
for priority in string.gmatch(priorities, '%S+') do
  local oldest = redis.call('ZRANGE', keys.jobs('pending', priority), 0, 0)[1]
  local created_at_ms = oldest and tonumber(redis.call('HGET', keys.job(oldest), 'created_at_ms') or nil)
  answer[#answer + 1] = created_at_ms and math.max(now_ms - created_at_ms, 0) or 0
end
for counter in string.gmatch(counters, '%S+') do
  answer[#answer + 1] = tonumber(redis.call('HGET', keys.counters, counter) or 0)
end
answer[#answer + 1] = redis.call('ZCOUNT', keys.executors, '(' .. whole(now_ms - executor_timeout_ms), '+inf')
return answer

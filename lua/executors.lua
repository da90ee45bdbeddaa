-- executors: Reads one page of the active executors, the one seen last first.
-- STATUSES none
-- KEYS     1 root
-- ARGV     1 now_ms               the time in milliseconds, or "" for Redis's own
--          2 executor_timeout_ms  silence after which an executor is no longer active
--          3 limit                the size of the page
--          4 offset               how many executors to skip
-- RETURNS  the number of active executors, then for each executor of the page: its id, when it was last seen in
--          milliseconds, the number of jobs it completed, the id and the type of the job it claimed last and still runs
--          ("" for none)
-- ERRORS   none
-- USES     keys clock whole
local now_ms = clock(ARGV[1])
local executor_timeout_ms = tonumber(ARGV[2])
local limit = tonumber(ARGV[3])
local offset = tonumber(ARGV[4])

local too_long_ago = '(' .. whole(now_ms - executor_timeout_ms)
local answer = { redis.call('ZCOUNT', keys.executors, too_long_ago, '+inf') }
local active = redis.call('ZREVRANGEBYSCORE', keys.executors, '+inf', too_long_ago, 'WITHSCORES',
  'LIMIT', offset, limit)
for index = 1, #active, 2 do
  local executor_id, seen_at_ms = active[index], active[index + 1]
  local job_id = redis.call('ZREVRANGE', keys.held(executor_id), 0, 0)[1] or ''
  answer[#answer + 1] = executor_id
  answer[#answer + 1] = seen_at_ms
  answer[#answer + 1] = redis.call('HGET', keys.jobs_completed, executor_id) or '0'
  answer[#answer + 1] = job_id
  answer[#answer + 1] = job_id ~= '' and redis.call('HGET', keys.job(job_id), 'type') or ''
end
return answer

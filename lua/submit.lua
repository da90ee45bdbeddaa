-- submit: Stores new jobs, each at the end of its priority's queue. On an error none of them is stored.
-- STATUSES (none) -> pending
-- KEYS     1 root
-- ARGV     1 now_ms       the time in milliseconds, or "" for Redis's own
--          then for each job:
--            id           a new UUID
--            type         the client's name for this kind of job
--            priority     foreground, background or best_effort
--            spec         what to run, as JSON text; never decoded here
-- RETURNS  created_at_ms, the same for all of them
-- ERRORS   none
-- USES     keys clock whole notify
local now_ms = clock(ARGV[1])
local FIELDS = 4

-- This script does not call allow_when_full: a full Redis refuses the first write, which needs memory, and with it the
-- whole script. Nothing is stored then. All sequence numbers are taken in this one step.
local count = (#ARGV - 1) / FIELDS
local sequence = redis.call('INCRBY', keys.sequence, count) - count
local count_of_type = {}
for first = 2, #ARGV, FIELDS do
  local id, type, priority, spec = ARGV[first], ARGV[first + 1], ARGV[first + 2], ARGV[first + 3]
  sequence = sequence + 1
  redis.call('HSET', keys.job(id), 'status', 'pending', 'priority', priority, 'type', type, 'sequence', whole(sequence),
    'created_at_ms', whole(now_ms))
  redis.call('SET', keys.spec(id), spec)
  redis.call('ZADD', keys.jobs('pending', priority), sequence, id)
  redis.call('ZADD', keys.jobs_of_type('pending', priority, type), sequence, id)
  count_of_type[type] = (count_of_type[type] or 0) + 1
end
local notices = {}
for type, number in pairs(count_of_type) do
  notices[#notices + 1] = number .. ' ' .. type
end
notify(keys.work, table.concat(notices, ' '))
return now_ms

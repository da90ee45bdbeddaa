-- look: Looks whether jobs are pending for the executors that wait at one server, and notes that these executors still
-- ask. One call a second does this for all of them.
-- STATUSES pending -> pending
-- KEYS     1 root
-- ARGV     1 now_ms       the time in milliseconds, or "" for Redis's own
--          2 executor_ids  the executors that still ask, separated by spaces
--          3 executor_limit  as for claim: an executor that is one too many is not noted
--          then for each group of executors that wait for the same jobs:
--            types        the types of these jobs, separated by spaces, or "" for all
-- RETURNS  for each group, in order, the number of pending jobs that may be handed out
-- ERRORS   none
-- USES     keys clock whole allow_when_full mark_seen is_surplus_executor surplus_executors forget_executors asking
local now_ms = clock(ARGV[1])
local executor_ids = ARGV[2]
local executor_limit = ARGV[3]
local PRIORITIES = { 'foreground', 'background', 'best_effort' }

local function count_pending(types)
  local total = 0
  for _, priority in ipairs(PRIORITIES) do
    if types == '' then
      total = total + redis.call('ZCARD', keys.jobs('pending', priority))
    end
    for type in string.gmatch(types, '%S+') do
      total = total + redis.call('ZCARD', keys.jobs_of_type('pending', priority, type))
    end
  end
  return total
end

-- Ids are chosen by clients, and there may be many new ones: as many of the longest silent ones are forgotten.
local function note_askers()
  local count = 0
  for executor_id in string.gmatch(executor_ids, '%S+') do
    if not is_surplus_executor(executor_id, now_ms, executor_limit) then
      mark_seen(executor_id, now_ms)
      asking.note(executor_id, now_ms)
      count = count + 1
    end
  end
  forget_executors(surplus_executors(count, executor_limit))
end

if executor_ids ~= '' then
  allow_when_full()
  note_askers()
end
local counts = {}
for index = 4, #ARGV do
  counts[#counts + 1] = count_pending(ARGV[index])
end
return counts

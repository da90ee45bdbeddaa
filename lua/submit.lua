-- submit: Stores new jobs, each at the end of its priority's queue. On an error none of them is stored. With a key, the
-- same request again stores nothing and is answered as the first time, even if the queue has become full.
-- STATUSES (none) -> pending
-- KEYS     1 root
-- ARGV     1 now_ms       the time in milliseconds, or "" for Redis's own
--          2 key          the operation and the client's Idempotency-Key, or "" for none
--          3 fingerprint  hash of the jobs: with the same key it must be the same
--          4 seed         what the ids of the jobs were made from
--          5 keep_ms      how long the key is remembered
--          6 limits       the most pending jobs, the most pending jobs of one type and the most types, 0 for any
--                         number of them, separated by spaces; "" if nothing is limited
--          then for each job:
--            job          its new UUID, priority, type and spec (JSON text, never decoded here) with spaces between
-- RETURNS  { created_at_ms, the same for all of them; the seed of the ids that they got before, "" if they are new; the
--            text of the notice about them, "" if there was none }
-- ERRORS   IDEMPOTENCY_KEY_REUSED QUEUE_FULL TOO_MANY_TYPES
-- USES     keys clock refuse whole notify indexes_of keys_of pending_jobs has_type refuse_surplus
local now_ms = clock(ARGV[1])
local key = ARGV[2]
local fingerprint = ARGV[3]
local seed = ARGV[4]
local keep_ms = ARGV[5]
local limits = ARGV[6]
local count = #ARGV - 6
local MEMBERS = 1000

-- An answer is remembered by the seed of its ids, so that it takes as little space for 10,000 jobs as for one.
if key ~= '' then
  local stored = redis.call('GET', keys.idempotency(key))
  if stored then
    local first_fingerprint, first_seed, first_ms = string.match(stored, '^(%S+) (%S+) (%S+)$')
    if first_fingerprint ~= fingerprint then
      return refuse('IDEMPOTENCY_KEY_REUSED')
    end
    return { tonumber(first_ms), first_seed, '' }
  end
end

-- All or nothing: jobs of which some would pass a limit are refused together. A job that comes back to its queue is not
-- new, and meets no limit.
local count_of_type, new_types = {}, {}
if limits ~= '' then
  for number = 1, count do
    local type = string.match(ARGV[6 + number], '^%S+ %S+ (%S+)')
    count_of_type[type] = (count_of_type[type] or 0) + 1
  end
  local refusal = refuse_surplus(limits, count, count_of_type, new_types)
  if refusal then
    return refusal
  end
end

-- Adds jobs to indexes with one ZADD for up to MEMBERS jobs of an index: a call costs more than what it does for one
-- job. Lua passes at most about 8,000 values to a function.
local batches = {}
local function add_batch(index)
  redis.call('ZADD', index, unpack(batches[index]))
  batches[index] = nil
end
local function add(index, sequence, id)
  local members = batches[index] or {}
  batches[index] = members
  members[#members + 1] = sequence
  members[#members + 1] = id
  if #members == 2 * MEMBERS then
    add_batch(index)
  end
end

-- This script does not call allow_when_full: a full Redis refuses the first write, which needs memory, and with it the
-- whole script. Nothing is stored then. All sequence numbers are taken in this one step.
--
-- 10,000 jobs are stored in one go, although nothing else runs meanwhile, for 0.1 to 0.2 seconds: nearly all of that is
-- HSET and SET, 10 microseconds for a job. In several steps, jobs that nobody may see yet would have to be kept under
-- keys that expire, in case the server dies before the last step; each would be written twice (PERSIST), and an answer
-- that was late could find half of them gone. Now there are all jobs or none, whatever ends in between.
local sequence = redis.call('INCRBY', keys.sequence, count) - count
local created_at_ms = whole(now_ms)
count_of_type = {}
for number = 7, #ARGV do
  local id, priority, type, spec = string.match(ARGV[number], '^(%S+) (%S+) (%S+) (.*)$')
  sequence = sequence + 1
  redis.call('HSET', keys.job(id), 'status', 'pending', 'priority', priority, 'type', type, 'sequence', whole(sequence),
    'created_at_ms', created_at_ms)
  redis.call('SET', keys.spec(id), spec)
  add(keys.jobs('pending', priority), sequence, id)
  add(keys.jobs_of_type('pending', priority, type), sequence, id)
  count_of_type[type] = (count_of_type[type] or 0) + 1
end
for index in pairs(batches) do
  add_batch(index)
end
for _, type in ipairs(new_types) do
  redis.call('SADD', keys.types, type)
end
if key ~= '' then
  local answer = fingerprint .. ' ' .. seed .. ' ' .. created_at_ms
  redis.call('SET', keys.idempotency(key), answer, 'PX', keep_ms)
end
local notices = {}
for type, number in pairs(count_of_type) do
  notices[#notices + 1] = number .. ' ' .. type
end
notices[#notices + 1] = whole(sequence)
local notice = table.concat(notices, ' ')
notify(keys.work, notice)
return { now_ms, '', notice }

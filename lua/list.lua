-- list: Reads one page of jobs, newest first, and counts all that match, from the indexes alone.
-- STATES   none
-- KEYS     1 root
-- ARGV     1 statuses    the statuses that match, with spaces between
--          2 priorities  the priorities that match, with spaces between
--          3 type        the type that matches, or "" for all
--          4 limit       how many jobs to read at most
--          5 offset      how many newer ones to pass over
-- RETURNS  the number of jobs that match, then for each job of the page: id type status priority executor_id
--          created_at_ms started_at_ms ("" for what it has not)
-- ERRORS   none
-- USES     keys
local statuses = ARGV[1]
local priorities = ARGV[2]
local type = ARGV[3]
local limit = tonumber(ARGV[4])
local offset = tonumber(ARGV[5])

-- At most fifteen sorted sets, no job in two of them, and no two jobs with one score: the sequence number.
local function matching_indexes()
  local indexes = {}
  for status in string.gmatch(statuses, '%S+') do
    for priority in string.gmatch(priorities, '%S+') do
      indexes[#indexes + 1] = type == '' and keys.jobs(status, priority) or keys.jobs_of_type(status, priority, type)
    end
  end
  return indexes
end

local function count_from(indexes, sequence)
  local count = 0
  for _, index in ipairs(indexes) do
    count = count + redis.call('ZCOUNT', index, sequence, '+inf')
  end
  return count
end

-- The highest sequence number that at least `wanted` matching jobs are at or above: found by halving, in as many steps
-- as the number has bits, so that a page deep down costs what the first one does.
local function sequence_of(indexes, wanted, highest)
  local low, high = 1, highest
  while low < high do
    local middle = math.ceil((low + high) / 2)
    if count_from(indexes, middle) >= wanted then
      low = middle
    else
      high = middle - 1
    end
  end
  return low
end

local function page_of(indexes, total)
  local highest = tonumber(redis.call('GET', keys.sequence))
  local first = offset == 0 and highest or sequence_of(indexes, offset + 1, highest)
  local last = offset + limit >= total and 0 or sequence_of(indexes, offset + limit, first)
  local page = {}
  for _, index in ipairs(indexes) do
    local found = redis.call('ZRANGEBYSCORE', index, last, first, 'WITHSCORES')
    for place = 1, #found, 2 do
      page[#page + 1] = { id = found[place], sequence = tonumber(found[place + 1]) }
    end
  end
  table.sort(page, function(one, other) return one.sequence > other.sequence end)
  return page
end

local indexes = matching_indexes()
local total = count_from(indexes, '-inf')
local answer = { total }
if offset >= total then
  return answer
end
for _, entry in ipairs(page_of(indexes, total)) do
  local fields = redis.call('HMGET', keys.job(entry.id), 'type', 'status', 'priority', 'executor_id', 'created_at_ms',
    'started_at_ms')
  if fields[1] then
    answer[#answer + 1] = entry.id
    for place = 1, 6 do
      answer[#answer + 1] = fields[place] or ''
    end
  end
end
return answer

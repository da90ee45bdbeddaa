-- list: Reads one page of jobs, newest first, and counts all that match, from the indexes alone.
-- STATUSES none
-- KEYS     1 root
-- ARGV     1 statuses    the statuses that match, separated by spaces
--          2 priorities  the priorities that match, separated by spaces
--          3 type        the type that matches, or "" for all
--          4 limit       the size of the page
--          5 offset      how many newer jobs to skip
-- RETURNS  the number of jobs that match, then for each job of the page: id type status priority executor_id
--          created_at_ms started_at_ms ("" for a missing value)
-- ERRORS   none
-- USES     keys indexes_of
local statuses = ARGV[1]
local priorities = ARGV[2]
local type = ARGV[3]
local limit = tonumber(ARGV[4])
local offset = tonumber(ARGV[5])

-- Returns the indexes that hold exactly the matching jobs: at most eighteen sorted sets. A job has one status and one
-- priority, so none is in two of them, and its score is its sequence number, which no other job has.
local function matching_indexes()
  local indexes = {}
  for status in string.gmatch(statuses, '%S+') do
    for _, index in ipairs(indexes_of(status)) do
      for priority in string.gmatch(priorities, '%S+') do
        indexes[#indexes + 1] = type == '' and keys.jobs(index, priority) or keys.jobs_of_type(index, priority, type)
      end
    end
  end
  return indexes
end

-- Counts the matching jobs whose sequence number is at least `sequence`.
local function count_from(indexes, sequence)
  local count = 0
  for _, index in ipairs(indexes) do
    count = count + redis.call('ZCOUNT', index, sequence, '+inf')
  end
  return count
end

-- Returns the sequence number of the matching job that is `rank`th from the newest. The page could also be found by
-- merging the indexes from the top, but then every page would cost as much as all the pages before it. Bisecting needs
-- as many steps as the highest number has bits, and each step is a few ZCOUNTs, so that page 20,000 costs what page 1
-- does. If fewer than `rank` jobs match, it returns 1.
local function sequence_of(indexes, rank, highest)
  local low, high = 1, highest
  while low < high do
    local middle = math.ceil((low + high) / 2)
    if count_from(indexes, middle) >= rank then
      low = middle
    else
      high = middle - 1
    end
  end
  return low
end

-- Returns the jobs of the page, newest first, as ids with their sequence numbers. `first` and `last` bound the page, so
-- each index yields only the jobs that belong to it.
local function page_of(indexes, total)
  local highest = tonumber(redis.call('GET', keys.sequence))
  local first = offset == 0 and highest or sequence_of(indexes, offset + 1, highest)
  local last = offset + limit >= total and 0 or sequence_of(indexes, offset + limit, first)
  local page = {}
  for _, index in ipairs(indexes) do
    local entries = redis.call('ZRANGEBYSCORE', index, last, first, 'WITHSCORES')
    for i = 1, #entries, 2 do
      page[#page + 1] = { id = entries[i], sequence = tonumber(entries[i + 1]) }
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
    for index = 1, 6 do
      answer[#answer + 1] = fields[index] or ''
    end
  end
end
return answer

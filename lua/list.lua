-- list: Reads one page of jobs, newest first, and counts all that match, from the indexes alone. A page begins after
-- the newest `offset` jobs, or below a sequence number, so that a walk from page to page is not disturbed by new jobs.
-- STATUSES none
-- KEYS     1 root
-- ARGV     1 statuses    the statuses that match, separated by spaces
--          2 priorities  the priorities that match, separated by spaces
--          3 type        the type that matches, or "" for all
--          4 limit       the size of the page
--          5 offset      how many newer jobs to skip
--          6 below       the sequence number below which the page begins, or "" for a page at an offset
-- RETURNS  the number of jobs that match; the sequence number of the last job of the page, or 0 when none follows; then
--          for each job of the page two elements: its id, and a list of its type, status, priority, executor_id,
--          created_at_ms and started_at_ms (nil for a missing value)
-- ERRORS   none
-- USES     keys whole indexes_of
local statuses = ARGV[1]
local priorities = ARGV[2]
local type = ARGV[3]
local limit = tonumber(ARGV[4])
local offset = tonumber(ARGV[5])
local below = tonumber(ARGV[6])
local SLACK = 16

-- Returns the indexes that hold exactly the matching jobs, without those that are empty: at most eighteen sorted sets.
-- A job has one status and one priority, so none is in two of them, and its score is its sequence number, which no
-- other job has. Returns the number of jobs in them, too.
local function matching_indexes()
  local indexes, total = {}, 0
  for status in string.gmatch(statuses, '%S+') do
    for _, index in ipairs(indexes_of(status)) do
      for priority in string.gmatch(priorities, '%S+') do
        local key = type == '' and keys.jobs(index, priority) or keys.jobs_of_type(index, priority, type)
        local size = redis.call('ZCARD', key)
        if size > 0 then
          indexes[#indexes + 1] = key
          total = total + size
        end
      end
    end
  end
  return indexes, total
end

-- Counts the matching jobs whose sequence number is at least `sequence`.
local function count_from(indexes, sequence)
  local count = 0
  for _, index in ipairs(indexes) do
    count = count + redis.call('ZCOUNT', index, whole(sequence), '+inf')
  end
  return count
end

-- Returns a sequence number that at least `least` and at most `most` matching jobs reach, and how many they are. It
-- lies between `low`, which more jobs reach, and `high`, which fewer do; both have their counts with them.
--
-- A page could also be found by merging the indexes from the top, but then each would cost as much as all the pages
-- before it. Sequence numbers are mostly spread evenly, so that a proportional guess is near at once. Every second
-- guess is the middle, so that no spread needs more than twice as many steps as the highest number has bits.
local function bound(indexes, least, most, low, high)
  local guess_middle = false
  while high.sequence - low.sequence > 1 do
    local span = high.sequence - low.sequence
    local share = guess_middle and 0.5 or ((least + most) / 2 - high.count) / (low.count - high.count)
    local step = math.min(math.max(math.floor(span * share), 1), span - 1)
    local guess = { sequence = high.sequence - step }
    guess.count = count_from(indexes, guess.sequence)
    if guess.count > most then
      low = guess
    elseif guess.count < least then
      high = guess
    else
      return guess
    end
    guess_middle = not guess_middle
  end
  return low
end

-- Returns the bounds of a page that begins after `before` jobs: sequence numbers such that the page lies from `last` to
-- below `first`, with at most SLACK more jobs at either end. To find them exactly would need more steps than it saves.
local function bounds_of_page(indexes, before, total)
  local oldest = { sequence = 0, count = total }
  local newest = { sequence = tonumber(redis.call('GET', keys.sequence)) + 1, count = 0 }
  local first = newest
  if below then
    first = { sequence = below, count = before }
  elseif before > 0 then
    first = bound(indexes, math.max(before - SLACK, 0), before, oldest, newest)
  end
  local last = oldest
  if before + limit < total then
    last = bound(indexes, before + limit, before + limit + SLACK, oldest, first)
  end
  return first, last
end

-- Returns the jobs between two bounds, newest first, without the newest `skip`, as ids with their sequence numbers.
-- Each index yields its jobs in order, so the newest of all is the next of one of them.
local function merged(indexes, first, last, skip)
  local sources, page = {}, {}
  for _, index in ipairs(indexes) do
    local entries = redis.call('ZREVRANGEBYSCORE', index, '(' .. whole(first.sequence), whole(last.sequence),
      'WITHSCORES')
    sources[#sources + 1] = { entries = entries, position = 1, sequence = tonumber(entries[2]) }
  end
  for place = 1, skip + limit do
    local newest
    for _, source in ipairs(sources) do
      if source.sequence and (not newest or source.sequence > newest.sequence) then
        newest = source
      end
    end
    if not newest then
      break
    end
    if place > skip then
      page[place - skip] = { id = newest.entries[newest.position], sequence = newest.sequence }
    end
    newest.position = newest.position + 2
    newest.sequence = tonumber(newest.entries[newest.position + 1])
  end
  return page
end

local indexes, total = matching_indexes()
local before = below and count_from(indexes, below) or offset
local answer = { total, 0 }
if before >= total then
  return answer
end
local first, last = bounds_of_page(indexes, before, total)
local page = merged(indexes, first, last, before - first.count)
if page[1] and before + #page < total then
  answer[2] = page[#page].sequence
end
for _, entry in ipairs(page) do
  local fields = redis.call('HMGET', keys.job(entry.id), 'type', 'status', 'priority', 'executor_id', 'created_at_ms',
    'started_at_ms')
  if fields[1] then
    answer[#answer + 1] = entry.id
    answer[#answer + 1] = fields
  end
end
return answer

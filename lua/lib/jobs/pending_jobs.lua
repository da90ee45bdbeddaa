-- Finds the pending jobs of one priority for a claim, the oldest first, of all types or of some. One search goes on
-- through a whole claim, so that its limits hold for all jobs that the claim hands out.
--
-- An entry without a pending job behind it should not exist. If one does, it must not block the queue, so it is
-- removed, at most MAX_STALE in one search.
--
-- Jobs that are for others stay where they are, at the head, where the others find them first. After LOOKS_IN_ORDER of
-- them the steps double: the jobs that a bad host could not run lie close together, and what it can run may lie a
-- hundred thousand jobs behind them. To be exact about the order would cost a look at each of those.
local pending_jobs = { MAX_STALE = 50, MAX_LOOKS = 70, LOOKS_IN_ORDER = 50 }

-- Returns a new search, which leaves the jobs for which `is_for_others` returns true. Without types, it finds all.
function pending_jobs.search(priority, types, is_for_others)
  local indexes = {}
  for position, type in ipairs(types) do
    indexes[position] = { key = keys.jobs_of_type('pending', priority, type), rank = 0 }
  end
  if #types == 0 then
    indexes[1] = { key = keys.jobs('pending', priority), rank = 0 }
  end
  return { indexes = indexes, is_for_others = is_for_others, looks = 0, stale = 0 }
end

-- Returns the index whose next job is the oldest of all; nil when no index has any more. What is next in each is read
-- once, until somebody takes it.
local function oldest_of(indexes)
  local oldest
  for _, index in ipairs(indexes) do
    if index.next_id == nil then
      local entry = redis.call('ZRANGE', index.key, index.rank, index.rank, 'WITHSCORES')
      index.next_id, index.sequence = entry[1] or false, tonumber(entry[2] or nil)
    end
    if index.next_id and (not oldest or index.sequence < oldest.sequence) then
      oldest = index
    end
  end
  return oldest
end

-- Returns the next job of a search; nil when there is none. The caller must give the job another status.
function pending_jobs.take(search)
  while search.looks < pending_jobs.MAX_LOOKS and search.stale < pending_jobs.MAX_STALE do
    local index = oldest_of(search.indexes)
    if not index then
      return nil
    end
    local id = index.next_id
    index.next_id = nil
    local job = find_job(id)
    if not job or job.index ~= 'pending' then
      redis.call('ZREM', index.key, id)
      search.stale = search.stale + 1
    elseif search.is_for_others(job) then
      search.looks = search.looks + 1
      index.rank = index.rank + (search.looks < pending_jobs.LOOKS_IN_ORDER and 1 or math.max(index.rank, 1))
    else
      return job
    end
  end
end

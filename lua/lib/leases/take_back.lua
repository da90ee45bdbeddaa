-- Takes back the jobs that an executor never received: it claimed them more than UNRECEIVED_MS ago, so the answer to
-- its claim was lost, or it would have named them in a heartbeat by now. Each is pending again at its old place in the
-- queue, and the attempt does not count as lost; a job whose cancellation was requested ends as cancelled. Returns the
-- ids of at most `limit` such jobs. What somebody else has claimed under the same executor id stays.
local UNRECEIVED_MS = 10000
local NEVER_RECEIVED = 'the executor never received this job: the answer to its claim was lost'

local function take_back(executor_id, owner, now_ms, limit)
  local unreceived = keys.unreceived(executor_id)
  local too_long_ago = '(' .. whole(now_ms - UNRECEIVED_MS)
  local taken = {}
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', unreceived, '-inf', too_long_ago, 'LIMIT', 0, limit)) do
    local job = find_job(id)
    local is_executors = job and job.status == 'running' and job.executor_id == executor_id
    if is_executors and belongs_to(job, owner) then
      drop_lease(job)
      archive_attempt(job, 'released', '', now_ms, NEVER_RECEIVED)
      if job.cancel_requested then
        end_job(job, 'cancelled', 'cancelled', now_ms)
      else
        requeue(job)
      end
      taken[#taken + 1] = id
    elseif not is_executors then
      -- An entry without a job of this executor should not exist. If it does, it must not use up the limit every time.
      redis.call('ZREM', unreceived, id)
    end
  end
  if #taken > 0 then
    redis.call('HINCRBY', keys.counters, 'never_received', #taken)
  end
  return taken
end

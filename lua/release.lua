-- release: Releases a running job at the request of its holder: the job is pending again, at its old place in the
-- queue. The attempt does not count as lost. After a host fault the job is delayed and offered to other executors
-- first; it fails after the last host fault allowed. A job whose cancellation was requested ends as cancelled instead.
-- STATUSES running -> pending, running -> failed, running -> cancelled
-- KEYS     1 root
-- ARGV     1 now_ms           the time in milliseconds, or "" for Redis's own
--          2 job_id
--          3 executor_id      the executor that releases it
--          4 attempt_token    from claim, or "" from a client that does not keep it
--          5 owner            the name of the API token that it uses, or "" on an open API
--          6 reason           why, or "" for no reason
--          7 error_message    already cut to its limit, "" for none
--          8 max_host_faults  how many host faults a job may meet, or "" when this release is none
-- RETURNS  the job's new status
-- ERRORS   JOB_NOT_FOUND NOT_RUNNING LEASE_LOST
-- USES     keys clock whole refuse allow_when_full find_job notify set_status end_job drop_lease belongs_to holds_lease
-- USES     refuse_non_holder archive_attempt requeue mark_seen delay_after
local now_ms = clock(ARGV[1])
local job_id = ARGV[2]
local executor_id = ARGV[3]
local attempt_token = ARGV[4]
local owner = ARGV[5]
local reason = ARGV[6]
local error_message = ARGV[7]
local max_host_faults = tonumber(ARGV[8])
local OTHERS_FIRST_MS = 300000
local MAX_REMEMBERED = 10

-- Counts a host fault and returns how many the job has met, 0 when this release is none.
local function count_host_fault()
  if not max_host_faults then
    return 0
  end
  redis.call('HINCRBY', keys.counters, 'host_faults', 1)
  return redis.call('HINCRBY', keys.job(job_id), 'host_faults', 1)
end

-- Remembers that this executor released the job, as the last of at most MAX_REMEMBERED. For OTHERS_FIRST_MS after its
-- delay, a claim offers the job to others as long as any other asks. The preference must end: the others may be busy
-- with more urgent jobs for ever, while this executor is idle and has perhaps recovered.
local function offer_to_others_first(job, not_before_ms)
  local executor_ids = { executor_id }
  for released_by in string.gmatch(job.released_by or '', '%S+') do
    if released_by ~= executor_id and #executor_ids < MAX_REMEMBERED then
      executor_ids[#executor_ids + 1] = released_by
    end
  end
  redis.call('HSET', keys.job(job_id), 'released_by', table.concat(executor_ids, ' '), 'others_first_until_ms',
    whole(not_before_ms + OTHERS_FIRST_MS))
end

-- Ends a job that no host could run, with what the last of them said.
local function give_up(job, host_faults)
  end_job(job, 'failed', reason, now_ms)
  redis.call('HSET', keys.output(job_id), 'error_message', error_message ~= '' and error_message or string.format(
    '%d of at most %d attempts could not be made: the last one by %s', host_faults, max_host_faults, executor_id))
end

local job = find_job(job_id)
if not job then
  return refuse('JOB_NOT_FOUND')
end
local refusal = refuse_non_holder(job, executor_id, attempt_token, owner)
if refusal then
  return refusal
end
allow_when_full()
drop_lease(job)
archive_attempt(job, 'released', reason, now_ms, error_message)
local host_faults = count_host_fault()
if job.cancel_requested then
  end_job(job, 'cancelled', 'cancelled', now_ms)
elseif host_faults == 0 then
  requeue(job)
elseif host_faults >= max_host_faults then
  give_up(job, host_faults)
else
  local not_before_ms = now_ms + delay_after(host_faults)
  offer_to_others_first(job, not_before_ms)
  requeue(job, not_before_ms)
end
mark_seen(executor_id, now_ms)
return job.status

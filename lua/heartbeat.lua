-- heartbeat: Renews the leases of running jobs for the executor that holds them, keeps the latest output of their
-- programs, and answers whether a job's cancellation was requested. Each job is answered for itself. A heartbeat that
-- names all jobs of its executor also takes back those that the executor never received.
-- STATUSES running -> running, running -> pending, running -> cancelled
-- KEYS     1 root
-- ARGV     1 now_ms       the time in milliseconds, or "" for Redis's own
--          2 executor_id  the executor that is still at work
--          3 lease_ms     how long it may stay silent from now on
--          4 all          "all" with the last jobs of a heartbeat that names all jobs of the executor, else ""
--          5 owner        the name of the API token that it uses, or "" on an open API
--          6 executor_limit  as for claim: an executor that is one too many gets its answers, and is not noted
--          then for each job:
--            job_id
--            attempt_token  from claim, or "" from a client that does not keep it
--            stdout_offset  how many bytes the program wrote before this output, or "" for no output
--            stdout         what it wrote after them
--            stderr_offset  the same for standard error
--            stderr         the same for standard error
-- RETURNS  a list with an answer for each job, in order: "" when its lease was renewed, "cancel_requested" when its
--          cancellation was requested as well, else the refusal ("NOT_HELD running"); a list with the ids of the jobs
--          that were taken back
-- ERRORS   none
-- USES     keys clock whole is_full allow_when_full find_job notify set_status end_job drop_lease archive_attempt
-- USES     requeue belongs_to holds_lease set_lease take_back mark_seen is_surplus_executor keep_live
local now_ms = clock(ARGV[1])
local executor_id = ARGV[2]
local lease_ms = tonumber(ARGV[3])
local all = ARGV[4]
local owner = ARGV[5]
local executor_limit = ARGV[6]
local ARGUMENTS = 6
local MAX_TAKEN_BACK = 100

-- Whether Redis is full must be found out before the first write.
local full = is_full()
allow_when_full()

local function renew(job, stdout_offset, stdout, stderr_offset, stderr)
  -- A late heartbeat still counts: as long as no sweep has ended the lease, nobody else can have been given the job,
  -- and ending it now would only waste the work done so far.
  set_lease(job, now_ms, lease_ms)
  redis.call('ZREM', keys.unreceived(executor_id), job.id)
  if stdout_offset ~= '' then
    keep_live(job.id, 'stdout', tonumber(stdout_offset), stdout, full)
  end
  if stderr_offset ~= '' then
    keep_live(job.id, 'stderr', tonumber(stderr_offset), stderr, full)
  end
  return job.cancel_requested and 'cancel_requested' or ''
end

local answers, holds = {}, false
for index = 7, #ARGV, ARGUMENTS do
  local job_id, attempt_token, stdout_offset, stdout, stderr_offset, stderr = ARGV[index], ARGV[index + 1],
    ARGV[index + 2], ARGV[index + 3], ARGV[index + 4], ARGV[index + 5]
  local job = find_job(job_id)
  if not job then
    answers[#answers + 1] = 'JOB_NOT_FOUND'
  elseif not holds_lease(job, executor_id, attempt_token, owner) then
    answers[#answers + 1] = 'NOT_HELD ' .. job.status
  else
    answers[#answers + 1] = renew(job, stdout_offset, stdout, stderr_offset, stderr)
    holds = true
  end
end
if not holds and (all == '' or is_surplus_executor(executor_id, now_ms, executor_limit)) then
  return { answers, {} }
end
mark_seen(executor_id, now_ms)
return { answers, all ~= '' and take_back(executor_id, owner, now_ms, MAX_TAKEN_BACK) or {} }

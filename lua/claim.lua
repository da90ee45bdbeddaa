-- claim: Hands the next pending jobs to an executor, each with a lease and a token that identifies this attempt alone.
-- Before that it ends some expired leases and queues some delayed jobs that have become due, so that these jobs can be
-- claimed although no sweep has run yet. A claim that is repeated under its name is answered with the jobs that it
-- handed out the first time and that the executor still holds; their leases are renewed.
-- STATUSES pending -> running, running -> running, running -> pending, running -> failed, running -> cancelled
-- KEYS     1 root
-- ARGV     1 now_ms        the time in milliseconds, or "" for Redis's own
--          2 executor_id   the executor that claims
--          3 executor_ip   its address, or "-"
--          4 lease_ms      how long the executor may stay silent
--          5 max_attempts  how many executors a job may lose
--          6 max_jobs      how many jobs to hand out, at most 100
--          7 tokens        as many new and random words of 32 characters, one after the other
--          8 claim_id      the executor's name for this claim, or "" for none
--          then for each type, none for all types:
--            type
-- RETURNS  1 for a repeated claim, else 0; then the jobs as read_job returns them
-- ERRORS   none
-- USES     keys clock whole allow_when_full find_job notify set_status end_job drop_lease archive_attempt requeue
-- USES     set_lease mark_seen surplus_executors forget_executors asking claim_ids read_job in_grace
-- USES     lose_expired_leases queue_due_jobs pending_jobs
local now_ms = clock(ARGV[1])
local executor_id = ARGV[2]
local executor_ip = ARGV[3]
local lease_ms = tonumber(ARGV[4])
local max_attempts = tonumber(ARGV[5])
local max_jobs = tonumber(ARGV[6])
local tokens = ARGV[7]
local claim_id = ARGV[8]
local MAX_LOST = 10
local MAX_DUE = 10
local MAX_FORGOTTEN = 3
local TOKEN_LENGTH = 32
-- Claims are numbered in their order. Within a claim, jobs are held under its number and a fraction of this many parts,
-- which a double stores exactly.
local PARTS = 128

local types = {}
for index = 9, #ARGV do
  types[index - 8] = ARGV[index]
end

-- Returns whether a job must be left to others: this executor released it after a host fault, and somebody asks who did
-- not. An executor that could not run a job would most likely fail at it again, and each time counts for the job.
local others_ask = {} -- by the executors that do not count: many jobs were released by the same ones
local function is_for_others(job)
  local released_by = job.released_by
  if not released_by or now_ms >= (tonumber(job.others_first_until_ms or nil) or 0)
    or not string.find(' ' .. released_by .. ' ', ' ' .. executor_id .. ' ', 1, true) then
    return false
  end
  if others_ask[released_by] == nil then
    others_ask[released_by] = asking.anybody_but(released_by, now_ms)
  end
  return others_ask[released_by]
end

-- Makes a pending job this executor's.
local function hand_out(job, token, number)
  set_status(job, 'running')
  redis.call('HSET', keys.job(job.id), 'executor_id', executor_id, 'executor_ip', executor_ip, 'attempt_token', token,
    'started_at_ms', whole(now_ms))
  job.attempt_token = token
  -- The number of an attempt is counted here, because the archive keeps only the newest hundred.
  redis.call('HINCRBY', keys.job(job.id), 'attempt', 1)
  set_lease(job, now_ms, lease_ms)
  redis.call('ZADD', keys.held(executor_id), number, job.id)
  redis.call('ZADD', keys.unreceived(executor_id), now_ms, job.id)
end

-- Claims jobs and returns the answer. A lower priority is only looked at when the higher ones are empty: jobs do not
-- move up with age, so a busy foreground queue can starve the others.
local function claim_jobs()
  local answer = { 0 }
  local number -- claims are ordered by a counter, not by the time: two of them may happen in the same millisecond
  for _, priority in ipairs({ 'foreground', 'background', 'best_effort' }) do
    local search = #answer <= max_jobs and pending_jobs.search(priority, types, is_for_others)
    while #answer <= max_jobs do
      local job = pending_jobs.take(search)
      if not job then
        break
      end
      number = number or redis.call('INCR', keys.claims)
      local handed_out = #answer - 1
      local first = handed_out * TOKEN_LENGTH + 1
      hand_out(job, string.sub(tokens, first, first + TOKEN_LENGTH - 1), number + handed_out / PARTS)
      answer[#answer + 1] = read_job(job.id)
    end
  end
  if number then
    redis.call('ZADD', keys.busy, number, executor_id)
    if claim_id ~= '' then
      claim_ids.remember(executor_id, claim_id, number, now_ms, lease_ms)
    end
  end
  return answer
end

-- Answers a claim again. The jobs that have ended or were lost since then are not held any more, so they are left out.
local function repeat_claim(number)
  local answer = { 1 }
  local held = redis.call('ZRANGEBYSCORE', keys.held(executor_id), number, '(' .. whole(number + 1))
  for _, id in ipairs(held) do
    local job = find_job(id)
    if job and job.status == 'running' then
      set_lease(job, now_ms, lease_ms)
      redis.call('ZADD', keys.unreceived(executor_id), 'XX', now_ms, id)
      answer[#answer + 1] = read_job(id)
    end
  end
  claim_ids.remember(executor_id, claim_id, number, now_ms, lease_ms)
  return answer
end

allow_when_full()
mark_seen(executor_id, now_ms)
forget_executors(surplus_executors(MAX_FORGOTTEN))
asking.note(executor_id, now_ms)
-- A repeated claim comes before the ends of leases: as long as nothing has ended the lease, nobody else can have been
-- given the job, as with a late heartbeat.
local number = claim_id ~= '' and claim_ids.number_of(executor_id, claim_id, now_ms, lease_ms)
if number then
  return repeat_claim(number)
end
-- Expired leases come first: a job that was released by this very call keeps its old place in the queue and is then
-- handed out before younger ones. The limit keeps a claim fast when many executors have died at once; the sweeps take
-- the rest.
lose_expired_leases(now_ms, lease_ms, max_attempts, MAX_LOST)
queue_due_jobs(now_ms, MAX_DUE)
return claim_jobs()

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
--          6 max_jobs      how many jobs to hand out, at most 100; fewer if these have megabytes of arguments
--          7 tokens        as many new and random words of 32 characters, one after the other
--          8 claim_id      the executor's name for this claim, or "" for none
--          9 owner         the name of the API token that it uses, or "" on an open API
--          10 executor_limit  the most executors, and the silence in milliseconds after which one no longer counts,
--                             with a space between; "" if they are not limited
--          then for each type, none for all types:
--            type
-- RETURNS  1 for a repeated claim, else 0; then the jobs as read_job returns them
-- ERRORS   TOO_MANY_EXECUTORS
-- USES     keys clock whole refuse allow_when_full find_job notify set_status end_job drop_lease archive_attempt
-- USES     requeue set_lease mark_seen is_surplus_executor surplus_executors forget_executors asking claim_ids in_grace
-- USES     lose_expired_leases queue_due_jobs indexes_of_types next_of
local now_ms = clock(ARGV[1])
local executor_id = ARGV[2]
local executor_ip = ARGV[3]
local lease_ms = tonumber(ARGV[4])
local max_attempts = tonumber(ARGV[5])
local max_jobs = tonumber(ARGV[6])
local tokens = ARGV[7]
local claim_id = ARGV[8]
local owner = ARGV[9]
-- Each owner has claim ids of its own. Otherwise, whoever saw another one's would get that one's jobs by repeating it.
local claim_name = claim_id ~= '' and owner ~= '' and owner .. ' ' .. claim_id or claim_id
local executor_limit = ARGV[10]
local MAX_LOST = 10
local MAX_DUE = 10
local MAX_FORGOTTEN = 3
local MAX_STALE = 50
local MAX_LOOKS = 70
local LOOKS_IN_ORDER = 50
-- The answer ends with the job that exceeds this. A hundred jobs may have a mebibyte of arguments and variables each,
-- and would keep Redis busy for a second, and take half a gigabyte of the server's memory.
local MAX_BYTES = 4194304
local TOKEN_LENGTH = 32
-- Claims are numbered in their order. Within a claim, jobs are held under its number and a fraction of this many parts,
-- which a double stores exactly.
local PARTS = 128

local types = #ARGV > 10 and {}
for index = 11, #ARGV do
  types[index - 10] = ARGV[index]
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

-- Returns a running job as read_job does. Nearly all of it is known from find_job, so this costs half as much.
local function read_claimed(job)
  local fields = {
    'status', job.status, 'priority', job.priority, 'type', job.type, 'created_at_ms', job.created_at_ms,
    'executor_id', job.executor_id, 'executor_ip', job.executor_ip, 'attempt_token', job.attempt_token,
    'started_at_ms', job.started_at_ms, 'attempt', job.attempt,
  }
  if job.cancel_requested then
    fields[#fields + 1] = 'cancel_requested_at_ms'
    fields[#fields + 1] = job.cancel_requested
  end
  return {
    job.id,
    fields,
    redis.call('GET', keys.spec(job.id)) or '',
    job.attempt ~= '1' and redis.call('LRANGE', keys.attempts(job.id), 0, -1) or {},
    {},
  }
end

local answer, number, bytes = { 0 }, nil, 0

-- Makes a pending job this executor's and adds it to the answer.
local function hand_out(job)
  -- Claims are numbered, not ordered by the time: two of them may happen in the same millisecond.
  number = number or redis.call('INCR', keys.claims)
  local handed_out = #answer - 1
  local token = string.sub(tokens, handed_out * TOKEN_LENGTH + 1, (handed_out + 1) * TOKEN_LENGTH)
  job.executor_id, job.executor_ip, job.attempt_token = executor_id, executor_ip, token
  job.started_at_ms = whole(now_ms)
  -- The number of an attempt is counted, because the archive keeps only the newest hundred.
  job.attempt = whole(tonumber(job.attempt or 0) + 1)
  local fields = {
    'executor_id', executor_id, 'executor_ip', executor_ip, 'attempt_token', token, 'started_at_ms', job.started_at_ms,
    'attempt', job.attempt,
  }
  if owner ~= '' then
    fields[#fields + 1] = 'owner'
    fields[#fields + 1] = owner
  end
  set_status(job, 'running', nil, fields)
  set_lease(job, now_ms, lease_ms)
  redis.call('ZADD', keys.held(executor_id), number + handed_out / PARTS, job.id)
  redis.call('ZADD', keys.unreceived(executor_id), now_ms, job.id)
  answer[#answer + 1] = read_claimed(job)
  bytes = bytes + string.len(answer[#answer][3])
end

-- Makes the next pending jobs of a priority this executor's and adds them to the answer.
--
-- An entry without a pending job behind it should not exist. If one does, it must not block the queue, so it is
-- removed, at most MAX_STALE in one call.
--
-- Jobs that are for others stay where they are, at the head, where the others find them first. After LOOKS_IN_ORDER of
-- them the steps double: the jobs that a bad host could not run lie close together, and what it can run may lie a
-- hundred thousand jobs behind them. To be exact about the order would cost a look at each of those.
local function claim_from(priority)
  local key, rank, looks, stale = keys.jobs('pending', priority), 0, 0, 0
  local indexes = types and indexes_of_types(priority, types)
  while #answer <= max_jobs and bytes <= MAX_BYTES and looks < MAX_LOOKS and stale < MAX_STALE do
    local id, index
    if indexes then
      id, index = next_of(indexes)
      key, rank = index.key, index.rank
    else
      id = redis.call('ZRANGE', key, rank, rank)[1]
    end
    if not id then
      return
    end
    local job = find_job(id)
    if not job or job.index ~= 'pending' then
      redis.call('ZREM', key, id)
      stale = stale + 1
    elseif is_for_others(job) then
      looks = looks + 1
      rank = rank + (looks < LOOKS_IN_ORDER and 1 or math.max(rank, 1))
      if index then
        index.rank = rank
      end
    else
      hand_out(job)
    end
  end
end

-- Answers a claim again. The jobs that have ended or were lost since then are not held any more, so they are left out.
local function repeat_claim(first_number)
  answer[1] = 1
  local held = redis.call('ZRANGEBYSCORE', keys.held(executor_id), first_number, '(' .. whole(first_number + 1))
  for _, id in ipairs(held) do
    local job = find_job(id)
    if job and job.status == 'running' then
      set_lease(job, now_ms, lease_ms)
      redis.call('ZADD', keys.unreceived(executor_id), 'XX', now_ms, id)
      answer[#answer + 1] = read_claimed(job)
    end
  end
  claim_ids.remember(executor_id, claim_name, first_number, now_ms, lease_ms)
  return answer
end

if is_surplus_executor(executor_id, now_ms, executor_limit) then
  return refuse('TOO_MANY_EXECUTORS', string.match(executor_limit, '^%d+'))
end
allow_when_full()
if mark_seen(executor_id, now_ms) == 1 then
  forget_executors(surplus_executors(MAX_FORGOTTEN, executor_limit))
end
asking.note(executor_id, now_ms)
-- A repeated claim comes before the ends of leases: as long as nothing has ended the lease, nobody else can have been
-- given the job, as with a late heartbeat.
local repeated = claim_name ~= '' and claim_ids.number_of(executor_id, claim_name, now_ms, lease_ms)
if repeated then
  return repeat_claim(repeated)
end
-- Expired leases come first: a job that was released by this very call keeps its old place in the queue and is then
-- handed out before younger ones. The limit keeps a claim fast when many executors have died at once; the sweeps take
-- the rest.
lose_expired_leases(now_ms, lease_ms, max_attempts, MAX_LOST)
queue_due_jobs(now_ms, MAX_DUE)
-- A lower priority is only looked at when the higher ones are empty: jobs do not move up with age, so a busy foreground
-- queue can starve the others.
claim_from('foreground')
claim_from('background')
claim_from('best_effort')
if number then
  redis.call('ZADD', keys.busy, number, executor_id)
  if claim_name ~= '' then
    claim_ids.remember(executor_id, claim_name, number, now_ms, lease_ms)
  end
end
return answer

-- Ends a running job with the result that its executor reports. Returns 1 for a replay, when this very result is stored
-- already, else 0; and the job's new status.

-- Returns the status that a report gives the job. When cancellation was requested, a failure whose reason is the
-- cancellation, or which gives no reason, is the stop that was asked for. A failure with another reason came before the
-- stop and stays a failure; a completed job stays completed.
local function outcome(job, status, report)
  local stopped = report.reason == '' or report.reason == 'cancelled'
  return job.cancel_requested and status == 'failed' and stopped and 'cancelled' or status
end

local function reason_of(status, report)
  if report.reason ~= '' then
    return report.reason
  end
  if status == 'cancelled' then
    return 'cancelled'
  end
  return report.exit_code ~= '' and 'exited' or ''
end

-- What may be stored of a report's texts, each text under the name that it has in the report. SHORT and BARE are for a
-- full Redis. The server marks the output in them as truncated, in `measured`.
local TEXTS = { 'stdout', 'stderr', 'error_message', 'measured' }
local WHOLE = { stdout = 'stdout', stderr = 'stderr', error_message = 'error_message', measured = 'measured' }
local SHORT = { stdout = 'short_stdout', stderr = 'short_stderr', error_message = 'short_error_message',
  measured = 'short_measured' }
local BARE = { error_message = 'short_error_message', measured = 'bare_measured' }
local MAX_KEPT_WHEN_FULL = 1024 * 1024

local function text_of(report, version, name)
  return version[name] and report[version[name]] or ''
end

-- Returns the version to store. Jobs must be able to end on a full Redis, but they must not fill it further: as long as
-- it is full, all jobs together keep the short form of MAX_KEPT_WHEN_FULL bytes of output, and then none.
local function version_to_store(report, full)
  if not full then
    redis.call('HDEL', keys.counters, 'kept_when_full')
    return WHOLE
  end
  local size = #report.short_stdout + #report.short_stderr
  local kept = tonumber(redis.call('HGET', keys.counters, 'kept_when_full') or nil) or 0
  if kept + size > MAX_KEPT_WHEN_FULL then
    return BARE
  end
  redis.call('HINCRBY', keys.counters, 'kept_when_full', size)
  return SHORT
end

-- Returns whether the stored result is the reported one, byte for byte, in one of its versions.
local function is_replay(job, report, reason)
  local ended = redis.call('HMGET', keys.job(job.id), 'exit_code', 'reason')
  if (ended[1] or '') ~= report.exit_code or (ended[2] or '') ~= reason then
    return false
  end
  local output, stored = redis.call('HMGET', keys.output(job.id), unpack(TEXTS)), {}
  for index, name in ipairs(TEXTS) do
    stored[name] = texts.read(job.id, name) or output[index] or ''
  end
  local function is_stored(version)
    for _, name in ipairs(TEXTS) do
      -- An object was written by an older server, which named the measured fields. It cannot be compared with today's
      -- text. The token has proved that both reports come from one attempt, which measures once.
      local unlike = name == 'measured' and string.sub(stored.measured, 1, 1) == '{'
      if not unlike and stored[name] ~= text_of(report, version, name) then
        return false
      end
    end
    return true
  end
  return is_stored(WHOLE) or is_stored(SHORT) or is_stored(BARE)
end

-- Returns a spec without the names of its fields, which are most of a short one: ["https://...","ab...",[],{}], and the
-- time limit, if there is one, as the fifth. A spec with other fields is returned as it is. In the JSON text of a
-- string each quote has a backslash before it, so these patterns match nothing but the fields of the spec themselves.
local function without_names(spec)
  local url, sha256, arguments, variables, rest = string.match(spec, '^{"binary_url":(".*"),"binary_sha256":("%x*"),'
    .. '"arguments":(%[.*%]),"env_variables":({.*})(.*)}$')
  local timeout_seconds = rest and string.match(rest, '^,"timeout_seconds":([%d.e+-]+)$')
  if not url or (rest ~= '' and not timeout_seconds) then
    return spec
  end
  return string.format('[%s]', table.concat({ url, sha256, arguments, variables, timeout_seconds }, ','))
end

-- Moves the spec of a job into its hash, unless it is too long. No more is read than a spec may have that fits.
local function move_spec(id, fields)
  local spec = redis.call('GETRANGE', keys.spec(id), 0, texts.MAX_BYTES)
  if spec ~= '' and #spec <= texts.MAX_BYTES then
    texts.add(fields, 'spec', without_names(spec))
    redis.call('DEL', keys.spec(id))
  end
end

-- Stores the output and the message: in the hash of the job, or in a key of their own when they are too long for that.
local function store_output(id, report, version, fields)
  local output, size = {}, 0
  for index = 1, 3 do
    local text = text_of(report, version, TEXTS[index])
    if text ~= '' then
      output[#output + 1] = TEXTS[index]
      output[#output + 1] = text
      size = size + #text
    end
  end
  if size > texts.MAX_BYTES then
    redis.call('HSET', keys.output(id), unpack(output))
    return
  end
  for index = 1, #output, 2 do
    texts.add(fields, output[index], output[index + 1])
  end
end

local function finish(reported, report)
  local job = find_job(report.job_id)
  if not job then
    return refuse('JOB_NOT_FOUND')
  end
  local status = outcome(job, reported, report)
  local reason = reason_of(status, report)
  -- An executor whose answer got lost sends its report again and must learn that the result is safe. Only the attempt
  -- token proves that the two reports come from one attempt: the same executor may have claimed the job twice. Without
  -- a token, the second report is therefore refused below. With the token but another result it is refused as well, so
  -- that a stored result never changes.
  if job.status == status and report.attempt_token ~= '' and report.attempt_token == job.attempt_token
    and belongs_to(job, report.owner) and is_replay(job, report, reason) then
    return { 1, status }
  end
  local refusal = refuse_non_holder(job, report.executor_id, report.attempt_token, report.owner)
  if refusal then
    return refusal
  end
  local full = is_full()
  allow_when_full()
  local version = version_to_store(report, full)
  drop_lease(job)
  local fields = report.exit_code ~= '' and { 'exit_code', report.exit_code } or {}
  store_output(job.id, report, version, fields)
  texts.add(fields, 'measured', text_of(report, version, 'measured'))
  move_spec(job.id, fields)
  end_job(job, status, reason, report.now_ms, fields)
  mark_seen(report.executor_id, report.now_ms)
  return { 0, status }
end

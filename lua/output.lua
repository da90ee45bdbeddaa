-- output: Reads the output of a job's program: the latest part while it runs, the stored output once it has ended.
-- STATUSES none
-- KEYS     1 root
-- ARGV     1 job_id
--          2 stream  stdout or stderr
-- RETURNS  the job's status; the text; how many bytes the program wrote before it, in decimal; the measured fields as
--          the server wrote them, or ""
-- ERRORS   JOB_NOT_FOUND
-- USES     keys refuse texts
local job_id = ARGV[1]
local stream = ARGV[2]

local status = redis.call('HGET', keys.job(job_id), 'status')
if not status then
  return refuse('JOB_NOT_FOUND')
end
-- The live output goes with the lease, in the same step that stores a result: never are both there.
local live = redis.call('HMGET', keys.live(job_id), stream, stream .. '_offset')
-- A long output has a key of its own, a short one is in the hash of its job.
local long = redis.call('HMGET', keys.output(job_id), stream, 'measured')
local text = live[1] or long[1] or texts.read(job_id, stream) or ''
return { status, text, live[2] or '0', texts.read(job_id, 'measured') or long[2] or '' }

-- output: Reads the output of a job's program: the latest part while it runs, the stored output once it has ended.
-- STATUSES none
-- KEYS     1 root
-- ARGV     1 job_id
--          2 stream  stdout or stderr
-- RETURNS  the job's status; the text; how many bytes the program wrote before it, in decimal; the measured fields as
--          the server wrote them, or ""
-- ERRORS   JOB_NOT_FOUND
-- USES     keys refuse
local job_id = ARGV[1]
local stream = ARGV[2]

local status = redis.call('HGET', keys.job(job_id), 'status')
if not status then
  return refuse('JOB_NOT_FOUND')
end
-- The live output goes with the lease, in the same step that stores a result: never are both there.
local live = redis.call('HMGET', keys.live(job_id), stream, stream .. '_offset')
local stored = redis.call('HMGET', keys.output(job_id), stream, 'measured')
return { status, live[1] or stored[1] or '', live[2] or '0', stored[2] or '' }

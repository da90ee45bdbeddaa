-- get: Reads everything that is stored about one job.
-- STATUSES none
-- KEYS     1 root
-- ARGV     1 job_id
-- RETURNS  the job as read_job returns it
-- ERRORS   JOB_NOT_FOUND
-- USES     keys refuse read_job
local job_id = ARGV[1]

if redis.call('EXISTS', keys.job(job_id)) == 0 then
  return refuse('JOB_NOT_FOUND')
end
return read_job(job_id)

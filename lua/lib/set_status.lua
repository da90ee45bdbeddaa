-- Gives a job another status, in its hash and in the two indexes that hold it. Its score there is the sequence number
-- it was submitted under, which never changes: a job that becomes pending again has its old place in the queue.
local function set_status(job, status)
  redis.call('ZREM', keys.jobs(job.status, job.priority), job.id)
  redis.call('ZREM', keys.jobs_of_type(job.status, job.priority, job.type), job.id)
  redis.call('ZADD', keys.jobs(status, job.priority), job.sequence, job.id)
  redis.call('ZADD', keys.jobs_of_type(status, job.priority, job.type), job.sequence, job.id)
  redis.call('HSET', keys.job(job.id), 'status', status)
  job.status = status
end

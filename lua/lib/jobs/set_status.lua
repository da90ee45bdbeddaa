-- Gives a job another status, in its hash and in the two indexes that hold it. Its score there is the sequence number
-- it was submitted under, which never changes: a job that becomes pending again has its old place in the queue.
-- `fields` is a list of more fields and values for the hash; nil for none.
--
-- With `not_before_ms`, a job becomes pending but is not handed out before that time. The three `pending` sets are the
-- queues, and a claim must not have to step over jobs whose time has not come. So a delayed job is in two indexes of
-- its own instead, which lists and counts add to those of the pending jobs, and in `due`, which says when to queue it.
--
-- A job that can be claimed from now on is announced to the servers at which executors wait.
local function set_status(job, status, not_before_ms, fields)
  redis.call('ZREM', keys.jobs(job.index, job.priority), job.id)
  redis.call('ZREM', keys.jobs_of_type(job.index, job.priority, job.type), job.id)
  if job.index == 'delayed' then
    redis.call('ZREM', keys.due, job.id)
    redis.call('HDEL', keys.job(job.id), 'not_before_ms')
  end
  job.status, job.index = status, not_before_ms and 'delayed' or status
  redis.call('ZADD', keys.jobs(job.index, job.priority), job.sequence, job.id)
  redis.call('ZADD', keys.jobs_of_type(job.index, job.priority, job.type), job.sequence, job.id)
  redis.call('HSET', keys.job(job.id), 'status', status, unpack(fields or {}))
  if not_before_ms then
    redis.call('ZADD', keys.due, not_before_ms, job.id)
    redis.call('HSET', keys.job(job.id), 'not_before_ms', whole(not_before_ms))
  end
  if job.index == 'pending' then
    notify(keys.work, '1 ' .. job.type .. ' ' .. job.sequence)
  end
end

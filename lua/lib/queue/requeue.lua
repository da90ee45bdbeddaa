-- Makes a job pending again after its attempt was released or lost. It has its old place in the queue. With
-- `not_before_ms` it is not handed out before that time.
local function requeue(job, not_before_ms)
  redis.call('HDEL', keys.job(job.id), 'executor_id', 'executor_ip', 'started_at_ms')
  set_status(job, 'pending', not_before_ms)
end

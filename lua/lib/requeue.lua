-- Makes a job pending again after its attempt was released or lost. It has its old place in the queue.
local function requeue(job)
  redis.call('HDEL', keys.job(job.id), 'executor_id', 'executor_ip', 'started_at_ms')
  set_status(job, 'pending')
end

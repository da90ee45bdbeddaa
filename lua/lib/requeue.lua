-- Puts a job whose attempt is over back to its old place in its queue.
local function send_back(job)
  redis.call('HDEL', keys.job(job.id), 'executor_id', 'executor_ip', 'started_at_ms')
  set_state(job, 'pending')
end

-- Ends the lease of a running job, whatever becomes of the job. The live output of its program is deleted with it.
local function drop_lease(job)
  redis.call('ZREM', keys.deadlines, job.id)
  redis.call('DEL', keys.lease(job.id), keys.live(job.id))
  redis.call('ZREM', keys.held(job.executor_id), job.id)
  redis.call('ZREM', keys.unreceived(job.executor_id), job.id)
  if redis.call('EXISTS', keys.held(job.executor_id)) == 0 then
    redis.call('ZREM', keys.busy, job.executor_id)
  end
end

-- Forgets executors, given by their ids, with the counts of the jobs that they completed. The jobs that they run stay
-- their own, and they are listed again as soon as they are heard of.
local function forget_executors(executor_ids)
  for _, executor_id in ipairs(executor_ids) do
    redis.call('ZREM', keys.executors, executor_id)
    redis.call('HDEL', keys.jobs_completed, executor_id)
  end
end

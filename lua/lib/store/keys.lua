-- The names of all keys. KEYS[1] is the hash tag of the queue, so that a cluster keeps all of them in one slot.
local root = KEYS[1]
local keys = {
  job = function(id) return root .. ':job:' .. id end,
  spec = function(id) return root .. ':spec:' .. id end,
  output = function(id) return root .. ':output:' .. id end,
  attempts = function(id) return root .. ':attempts:' .. id end,
  lease = function(id) return root .. ':lease:' .. id end,
  live = function(id) return root .. ':live:' .. id end,
  jobs = function(index, priority) return root .. ':jobs:' .. index .. ':' .. priority end,
  jobs_of_type = function(index, priority, type) -- the type comes last, as it may contain colons
    return root .. ':jobs:' .. index .. ':' .. priority .. ':' .. type
  end,
  idempotency = function(key) return root .. ':idempotency:' .. key end,
  rate = function(window) return root .. ':rate:' .. window end,
  held = function(executor_id) return root .. ':held:' .. executor_id end,
  unreceived = function(executor_id) return root .. ':unreceived:' .. executor_id end,
  claim_ids = function(span, executor_id) return root .. ':claim_ids:' .. span .. ':' .. executor_id end,
  deadlines = root .. ':deadlines',
  due = root .. ':due',
  ended = root .. ':ended',
  endings = root .. ':endings',
  types = root .. ':types',
  executors = root .. ':executors',
  askers = root .. ':askers',
  busy = root .. ':busy',
  jobs_completed = root .. ':jobs_completed',
  counters = root .. ':counters',
  sequence = root .. ':sequence',
  claims = root .. ':claims',
  sweep = root .. ':sweep',
  work = root .. ':work',
  absent = root .. ':absent',
}

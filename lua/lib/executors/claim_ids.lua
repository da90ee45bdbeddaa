-- The names that executors give to their claims. An executor whose answer got lost repeats its claim under the same
-- name. The name leads to the number of the claim, and that to the jobs that the executor still holds from it.
--
-- A name is remembered for at least one lease after the claim or its last repetition, and for at most two: time is
-- divided into spans of one lease, the names of each span are in a hash of their own, and only the latest two are read.
-- So nothing has to look for old names, whose hashes expire, and there are never more names than claims in two leases.
local claim_ids = {}

local function names_of_span(executor_id, now_ms, lease_ms, spans_ago)
  return keys.claim_ids(whole(math.floor(now_ms / lease_ms) - spans_ago), executor_id)
end

-- Returns the number of the claim that an executor made under a name; nil when it is not remembered.
function claim_ids.number_of(executor_id, claim_id, now_ms, lease_ms)
  for spans_ago = 0, 1 do
    local number = redis.call('HGET', names_of_span(executor_id, now_ms, lease_ms, spans_ago), claim_id)
    if number then
      return tonumber(number)
    end
  end
end

function claim_ids.remember(executor_id, claim_id, number, now_ms, lease_ms)
  local names = names_of_span(executor_id, now_ms, lease_ms, 0)
  redis.call('HSET', names, claim_id, whole(number))
  redis.call('PEXPIRE', names, 2 * lease_ms)
end

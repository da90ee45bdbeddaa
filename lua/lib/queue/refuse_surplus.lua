-- Returns the refusal of new jobs that would pass a limit, nil if there is room for all of them. `limits` has the most
-- pending jobs, the most pending jobs of one type and the most types, 0 for any number; `count_of_type` says how many
-- jobs of each type come. Appends to `new_types` those that the set of types lacks.
--
-- A type is in that set from its first job until its last one is removed. The set is only kept while types are limited,
-- so it may lack one that has jobs all the same: such a type is not new, and is counted from now on.
local function refuse_surplus(limits, count, count_of_type, new_types)
  local numbers = {}
  for number in string.gmatch(limits, '%d+') do
    numbers[#numbers + 1] = tonumber(number)
  end
  local max_pending, max_pending_of_type, max_types = unpack(numbers)
  local pending = max_pending > 0 and pending_jobs() or 0
  if max_pending > 0 and pending + count > max_pending then
    return refuse('QUEUE_FULL', whole(max_pending) .. ' ' .. whole(pending))
  end
  for type, number in pairs(max_pending_of_type > 0 and count_of_type or {}) do
    pending = pending_jobs(type)
    if pending + number > max_pending_of_type then
      return refuse('QUEUE_FULL', whole(max_pending_of_type) .. ' ' .. whole(pending) .. ' ' .. type)
    end
  end
  local room = max_types - (max_types > 0 and redis.call('SCARD', keys.types) or 0)
  for type in pairs(max_types > 0 and count_of_type or {}) do
    if redis.call('SISMEMBER', keys.types, type) == 0 then
      new_types[#new_types + 1] = type
      room = room - (has_type(type) and 0 or 1)
      if room < 0 then
        return refuse('TOO_MANY_TYPES', whole(max_types) .. ' ' .. type)
      end
    end
  end
end

-- Returns the next job of several indexes, the one with the lowest sequence number, and its index. The job is false if
-- there is none. An index has a key, and the rank from which on jobs are wanted. What is next in each index is read
-- once, until it is taken.
local function next_of(indexes)
  local oldest = indexes[1]
  for _, index in ipairs(indexes) do
    if index.next_id == nil then
      local entry = redis.call('ZRANGE', index.key, index.rank, index.rank, 'WITHSCORES')
      index.next_id, index.sequence = entry[1] or false, tonumber(entry[2] or nil) or math.huge
    end
    if index.sequence < oldest.sequence then
      oldest = index
    end
  end
  local id = oldest.next_id
  oldest.next_id = nil
  return id, oldest
end

-- Keeps the latest output of a running program: at most 256 KiB of each stream, and the offset at which that part
-- begins, counted in bytes since the program started.
local MAX_LIVE = 256 * 1024

-- Returns how many bytes to drop so that the rest begins with a whole character: `dropped`, or up to three more. Bytes
-- from 128 to 191 continue a UTF-8 character.
local function to_character(text, dropped)
  for _ = 1, 3 do
    local byte = string.byte(text, dropped + 1)
    if not byte or byte < 128 or byte > 191 then
      break
    end
    dropped = dropped + 1
  end
  return dropped
end

-- Adds `data`, which the program wrote after its first `offset` bytes. When Redis is full the output is dropped, the
-- stored part included: only the offset at which the next part begins is kept.
local function keep_live(id, stream, offset, data, full)
  local stored = redis.call('HMGET', keys.live(id), stream, stream .. '_offset')
  local text = stored[1] or ''
  local begin = tonumber(stored[2] or nil) or 0
  -- The bytes of `data` that are stored already. A heartbeat whose answer got lost is sent again with the same output,
  -- and perhaps more. A negative number is a gap: output that never arrived.
  local known = begin + #text - offset
  if known >= #data then
    return
  end
  -- After a gap only the new part can be kept, as a stored part has one offset. The same holds for an overlap that ends
  -- inside a character: two copies of one stream never overlap like that, so this is another stream, and gluing the two
  -- together could make text that is not valid UTF-8.
  if known < 0 or to_character(data, known) > known then
    text, begin = data, offset
  else
    text = text .. string.sub(data, known + 1)
  end
  local dropped = to_character(text, math.max(#text - (full and 0 or MAX_LIVE), 0))
  redis.call('HSET', keys.live(id), stream, string.sub(text, dropped + 1), stream .. '_offset', whole(begin + dropped))
  notify(keys.job(id), 'output')
end

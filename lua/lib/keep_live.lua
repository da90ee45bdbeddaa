-- Keeps the latest output of a program that runs: of each stream at most 256 KiB, and where that begins, counted in
-- bytes since the program began. What continues the kept part is appended, what is there already is passed over, and
-- what leaves a gap takes its place.
local LIVE_AT_MOST = 256 * 1024

-- How many bytes to drop so that the rest does not begin inside a character: as many, or up to three more.
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

local function keep_live(id, stream, offset, data)
  local kept = redis.call('HMGET', keys.live(id), stream, stream .. '_offset')
  local text = kept[1] or ''
  local begin = tonumber(kept[2] or nil) or 0
  local known = begin + #text - offset -- so much of the data is there already; less than nothing when there is a gap
  if known >= #data then
    return
  end
  if known < 0 or to_character(data, known) > known then -- no repeat of the same stream begins inside a character
    text, begin = data, offset
  else
    text = text .. string.sub(data, known + 1)
  end
  local dropped = to_character(text, math.max(#text - LIVE_AT_MOST, 0))
  redis.call('HSET', keys.live(id), stream, string.sub(text, dropped + 1), stream .. '_offset', whole(begin + dropped))
end

-- Returns the time in milliseconds since 1970: the time that was passed in, which only tests do, or else Redis's own.
-- Servers never pass theirs: their clocks differ, and a deadline must mean the same for all of them.
local function clock(given)
  if given ~= '' then
    return tonumber(given)
  end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

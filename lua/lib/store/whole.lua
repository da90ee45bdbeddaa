-- Returns a whole number as text with all its digits. Lua itself would write a time in milliseconds as 1.7e+12.
local function whole(number)
  return string.format('%.0f', number)
end

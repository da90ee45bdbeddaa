-- A whole number as text, all its digits: Lua would write a time in milliseconds as 1.7e+12.
local function whole(number)
  return string.format('%.0f', number)
end

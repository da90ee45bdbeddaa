-- Returns the keys of the indexes with these words, one for each priority: of the jobs of one type, or of all.
local function keys_of(indexes, type)
  local found = {}
  for _, index in ipairs(indexes) do
    for _, priority in ipairs({ 'foreground', 'background', 'best_effort' }) do
      found[#found + 1] = type and keys.jobs_of_type(index, priority, type) or keys.jobs(index, priority)
    end
  end
  return found
end

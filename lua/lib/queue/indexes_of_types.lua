-- Returns the indexes of the pending jobs of a priority that have one of these types, for next_of.
local function indexes_of_types(priority, types)
  local indexes = {}
  for position, type in ipairs(types) do
    indexes[position] = { key = keys.jobs_of_type('pending', priority, type), rank = 0 }
  end
  return indexes
end

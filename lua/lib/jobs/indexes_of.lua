-- Returns the words under which the jobs of a status are indexed: pending jobs are in the queues or delayed.
local function indexes_of(status)
  return status == 'pending' and { 'pending', 'delayed' } or { status }
end

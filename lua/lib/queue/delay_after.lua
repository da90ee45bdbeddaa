-- Returns for how long a job is delayed after its n-th host fault, in milliseconds: 5 seconds, doubling, 5 minutes at
-- most. No delay is longer than `delay_after(math.huge)`.
local function delay_after(host_faults)
  return math.min(5000 * 2 ^ (host_faults - 1), 300000)
end

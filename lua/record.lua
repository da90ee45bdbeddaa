-- record: Records what a caller did, or tried to do, that no other script records.
-- STATUSES (none) -> (none)
-- KEYS     1 root
-- ARGV     1 now_ms  the time in milliseconds, or "" for Redis's own
--          2 caller  the name of its API token and its address, "-" for an unknown one, with a space between
--          3 action  one word for it
--          4 target  one word for what it was done to, or "-"
--          5 number  how many times, or to how many
-- RETURNS  1
-- ERRORS   none
-- USES     keys clock whole allow_when_full record_activity
local now_ms = clock(ARGV[1])
local caller = ARGV[2]
local action = ARGV[3]
local target = ARGV[4]
local number = tonumber(ARGV[5])

allow_when_full()
record_activity(now_ms, caller, action, target, number)
return 1

-- Lets the rest of the script write although Redis is at maxmemory. Redis refuses a command that needs memory only as
-- long as its script has not written anything. DEL needs no memory, so it is always allowed, and after it so is the
-- rest. Every script that writes, except submit, calls this before its first write: jobs that exist must be able to
-- end, or a full server could never drain. A script that could store much asks `is_full` first and stores little.
local function allow_when_full()
  redis.call('DEL', keys.absent)
end

-- Lets the rest of the script write although Redis is at maxmemory. Redis refuses a command that needs memory only
-- while its script has not written yet, and a DEL is always let through. Every script that
-- writes, except submit, calls this before its first write: what runs must be able to end, or a full server could
-- never drain.
local function allow_when_full()
  redis.call('DEL', keys.absent)
end

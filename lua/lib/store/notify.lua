-- Publishes a notice for the servers that wait for something. A notice is a hint that saves time, and nothing depends
-- on it: every server also looks for itself. So a login that may not publish must not make a script fail half-way.
local function notify(channel, text)
  redis.pcall('PUBLISH', channel, text)
end

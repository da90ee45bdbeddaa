-- Publishes a notice for the servers that wait for something. A notice is a hint that saves time, and nothing depends
-- on it: every server also looks for itself. So a login that may not publish must not make a script fail half-way.
--
-- On the channel for work, a notice has pairs of a number and a type, and then a number that tells it from the notices
-- before and after it: every server process gets it, and they share out the jobs.
local function notify(channel, text)
  redis.pcall('PUBLISH', channel, text)
end

-- Returns whether an attempt may be continued by somebody whose API token has this name: the name of the token that
-- claimed the job. A token can be replaced while jobs run, because the new one has the same name. On an open API (""),
-- and with an attempt that was claimed on one, the executor's id and the attempt token are all that counts: a running
-- job must not be lost because tokens are configured, or are so no longer.
local function belongs_to(job, owner)
  return owner == '' or not job.owner or job.owner == owner
end

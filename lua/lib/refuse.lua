-- Says no: the first word is the error's stable code, the second a fact about it (the job's status).
local function refuse(code, fact)
  return redis.error_reply(code .. ' ' .. (fact or ''))
end

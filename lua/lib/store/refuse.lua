-- Returns a refusal. Its first word is the error's stable code, its second a fact about the error (the job's status).
local function refuse(code, fact)
  return redis.error_reply(code .. ' ' .. (fact or ''))
end

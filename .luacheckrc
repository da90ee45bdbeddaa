-- Redis runs Lua 5.1 with these globals. Each script is also checked as it is sent, with its fragments before it:
-- `make lint` does that, and finds a fragment that is missing from a USES line, or in it for nothing.
std = "lua51"
max_line_length = 120
read_globals = { "redis", "cjson", "KEYS", "ARGV" }
files["lua/*.lua"] = { read_globals = {
  "keys", "clock", "whole", "refuse", "allow_when_full", "find_job", "set_state", "end_job", "drop_lease",
  "archive_attempt", "hear_from", "holds_lease", "finish", "read_job", "in_grace", "lose_expired_leases",
  "keep_live", "refuse_stranger", "send_back",
} }
files["lua/lib/*.lua"] = {
  ignore = { "211" }, -- a fragment defines what only the scripts use
  read_globals = {
    "keys", "whole", "refuse", "allow_when_full", "find_job", "set_state", "end_job", "drop_lease",
    "archive_attempt", "hear_from", "holds_lease", "in_grace", "refuse_stranger", "send_back",
  },
}

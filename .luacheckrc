-- Redis runs Lua 5.1 with these globals. Each script is also checked in the form that Redis gets, with its fragments before it:
-- `make lint` does that, and finds a fragment that a USES line lacks or names for nothing.
std = "lua51"
max_line_length = 120
read_globals = { "redis", "cjson", "KEYS", "ARGV" }
files["lua/*.lua"] = { read_globals = {
  "keys", "clock", "whole", "refuse", "is_full", "allow_when_full", "find_job", "set_status", "end_job", "drop_lease",
  "archive_attempt", "mark_seen", "holds_lease", "finish", "read_job", "in_grace", "lose_expired_leases",
  "keep_live", "refuse_non_holder", "requeue", "texts", "indexes_of", "queue_due_jobs", "delay_after", "asking",
  "surplus_executors", "forget_executors", "set_lease", "take_back", "claim_ids", "indexes_of_types", "next_of",
  "notify", "keys_of", "pending_jobs", "has_type", "refuse_surplus", "is_surplus_executor", "record_activity",
} }
files["lua/lib/*/*.lua"] = {
  ignore = { "211", "241" }, -- a fragment defines functions that only scripts use
  read_globals = {
    "keys", "whole", "refuse", "is_full", "allow_when_full", "find_job", "set_status", "end_job", "drop_lease",
    "archive_attempt", "mark_seen", "holds_lease", "in_grace", "refuse_non_holder", "requeue", "notify",
    "texts", "belongs_to", "indexes_of", "keys_of", "pending_jobs", "has_type",
  },
}

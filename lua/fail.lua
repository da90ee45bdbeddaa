-- fail: Ends a running job as failed, with what its executor reports about the run. The job ends as cancelled when its
-- cancellation was requested and that is why it ended.
-- STATUSES running -> failed, running -> cancelled
-- KEYS     1 root
-- ARGV     1 now_ms         the time in milliseconds, or "" for Redis's own
--          2 job_id
--          3 executor_id    the executor that reports
--          4 attempt_token  from claim, or "" from a client that does not keep it
--          5 owner          the name of the API token that it uses, or "" on an open API
--          6 exit_code      the exit code in decimal, or "" when the program never ran
--          7 stdout         already cut to its limit
--          8 stderr         already cut to its limit
--          9 reason         why the run ended, or ""
--          10 measured       the measured fields, as JSON text; never decoded here
--          11 error_message  already cut to its limit, "" for none
--          12 short_stdout    what to store instead when Redis is full
--          13 short_stderr    the same for standard error
--          14 short_measured  the measured fields that go with them
--          15 bare_measured   the measured fields when Redis is full and no output is stored
--          16 short_error_message  the message to store when Redis is full
-- RETURNS  1 for a replay, when this very result is stored already, else 0; the job's new status
-- ERRORS   JOB_NOT_FOUND NOT_RUNNING LEASE_LOST
-- USES     keys clock whole refuse is_full allow_when_full find_job notify set_status end_job drop_lease belongs_to
-- USES     holds_lease refuse_non_holder mark_seen texts finish
return finish('failed', {
  now_ms = clock(ARGV[1]),
  job_id = ARGV[2],
  executor_id = ARGV[3],
  attempt_token = ARGV[4],
  owner = ARGV[5],
  exit_code = ARGV[6],
  stdout = ARGV[7],
  stderr = ARGV[8],
  reason = ARGV[9],
  measured = ARGV[10],
  error_message = ARGV[11],
  short_stdout = ARGV[12],
  short_stderr = ARGV[13],
  short_measured = ARGV[14],
  bare_measured = ARGV[15],
  short_error_message = ARGV[16],
})

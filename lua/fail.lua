-- fail: Ends a running job as failed, with what its executor reports about the run. The job ends as cancelled when its
-- cancellation was requested and that is why it ended.
-- STATUSES running -> failed, running -> cancelled
-- KEYS     1 root
-- ARGV     1 now_ms         the time in milliseconds, or "" for Redis's own
--          2 job_id
--          3 executor_id    the executor that reports
--          4 attempt_token  from claim, or "" from a client that does not keep it
--          5 exit_code      the exit code in decimal, or "" when the program never ran
--          6 stdout         already cut to its limit
--          7 stderr         already cut to its limit
--          8 reason         why the run ended, or ""
--          9 measured       the measured fields, as JSON text; never decoded here
--          10 error_message  already cut to its limit, "" for none
-- RETURNS  1 for a replay, when this very result is stored already, else 0; the job's new status
-- ERRORS   JOB_NOT_FOUND NOT_RUNNING LEASE_LOST
-- USES     keys clock whole refuse allow_when_full find_job set_status end_job drop_lease holds_lease refuse_non_holder
-- USES     mark_seen finish
return finish('failed', {
  now_ms = clock(ARGV[1]),
  job_id = ARGV[2],
  executor_id = ARGV[3],
  attempt_token = ARGV[4],
  exit_code = ARGV[5],
  stdout = ARGV[6],
  stderr = ARGV[7],
  reason = ARGV[8],
  measured = ARGV[9],
  error_message = ARGV[10],
})

-- fail: Ends a running job as failed, with what its executor has to say about it; as cancelled when somebody asked it
-- to stop and that is why it ended.
-- STATES   running -> failed, running -> cancelled
-- KEYS     1 root
-- ARGV     1 now_ms         the time in milliseconds, or "" for Redis's own
--          2 job_id
--          3 executor_id    who reports
--          4 attempt_token  from claim, or "" from a client that keeps none
--          5 exit_code      the exit code in decimal, or "" when the program never ran
--          6 stdout         cut to its limit already
--          7 stderr         cut to its limit already
--          8 reason         why the run ended, or ""
--          9 measured       how it went, as JSON text; never decoded here
--          10 error_message  cut to its limit already, "" for none
-- RETURNS  1 when this very result was stored before, else 0; the status that the job got
-- ERRORS   JOB_NOT_FOUND NOT_RUNNING LEASE_LOST
-- USES     keys clock whole refuse allow_when_full find_job set_state end_job drop_lease holds_lease refuse_stranger
-- USES     hear_from finish
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

"""Bugs in what a worker does about one attempt, each with the test that has to find it."""

from __future__ import annotations

from tests.support.seeding import seeded

CODE = "jobqueue/worker/attempts"
TESTS = "tests/worker/attempts"
STOPPED = f"{TESTS}/test_runner_stopped.py"

LEASE = seeded(
    f"{CODE}/lease.py",
    f"{TESTS}/test_lease.py",
    (
        "a lease is safe to its very end",
        "self.seconds * SAFE_FRACTION",
        "self.seconds",
        "test_a_lease_is_over_before_another_executor_may_have_the_job",
    ),
    (
        "a program may use its whole grace although its lease ends",
        "self.safe_until + min(kill_grace_seconds, longest_grace_seconds)",
        "self.safe_until + kill_grace_seconds",
        "test_a_program_is_killed_before_another_executor_may_have_its_job_however_long_its_grace",
    ),
    (
        "a heartbeat may take longer than its lease is safe",
        "min(self.interval_seconds, self.safe_until - now)",
        "self.interval_seconds",
        "test_a_heartbeat_takes_no_longer_than_the_lease_is_safe",
    ),
    (
        "a long lease is renewed only every third of it",
        "min(self.seconds / HEARTBEATS_PER_LEASE, MAX_INTERVAL_SECONDS)",
        "self.seconds / HEARTBEATS_PER_LEASE",
        "test_a_long_lease_is_renewed_every_few_seconds_all_the_same",
    ),
)
HEARTBEAT = seeded(
    f"{CODE}/heartbeat.py",
    f"{TESTS}/test_heartbeat.py",
    (
        "a lease counts from the answer to its heartbeat",
        "renewal.lease.renewed(sent_at)",
        "renewal.lease.renewed(since_boot())",
        "test_a_lease_counts_from_when_the_last_answered_heartbeat_was_sent",
    ),
    (
        "heartbeats go on after the lease is lost",
        "        if held is None:\n            self.remove(attempt)\n",
        "        if held is None:\n",
        "test_a_lease_is_lost_when_the_api_says_so",
    ),
    (
        "a job that was reported counts as lost",
        "            if attempt.is_reported:\n",
        "            if not attempt.job:\n",
        "test_a_lease_that_ends_with_the_report_is_not_lost",
    ),
    (
        "a heartbeat without an answer loses every lease",
        "answers, error = {}, unanswered",
        "answers, error = dict.fromkeys(beat.job.attempt_token for beat in beats), unanswered",
        "test_a_short_outage_costs_no_lease",
    ),
    (
        "a cancel request kills without SIGTERM",
        "Cause.CANCELLED, self._stop_policy.kill_grace_seconds",
        "Cause.CANCELLED",
        f"{STOPPED}::test_a_cancelled_job_gets_sigterm_and_is_reported_with_its_output",
    ),
    (
        "live output is forgotten before it is answered",
        "beats = [Beat(renewal.attempt.job, renewal.attempt.live_output.peek()) for renewal in held]",
        "beats = [Beat(renewal.attempt.job, renewal.attempt.live_output.peek()) for renewal in held]\n"
        "        [renewal.attempt.live_output.forget(beat.output) for renewal, beat in zip(held, beats)]",
        "test_output_that_was_not_answered_for_is_sent_again",
    ),
    (
        "answered live output is sent again",
        "attempt.live_output.forget(beat.output)",
        "pass",
        "test_output_is_sent_once",
    ),
    (
        "a job that comes while others are renewed is not renewed in time",
        "        self._wake_for(renewal)\n\n    def remove",
        "\n    def remove",
        "test_a_job_with_a_short_lease_is_renewed_in_time_beside_others",
    ),
)
ATTEMPT = seeded(
    f"{CODE}/attempt.py",
    f"{TESTS}/test_attempt.py",
    (
        "a lost lease does not replace another cause",
        " or cause is Cause.LEASE_LOST:\n",
        ":\n",
        "test_the_first_cause_of_a_stop_counts_but_a_lost_lease_always_does",
    ),
    (
        "a stop names no run",
        "self._slot.stop(grace_seconds, self.stopped)",
        "self._slot.stop(grace_seconds)",
        "test_stopping_an_attempt_that_is_over_does_not_stop_the_next_in_its_slot",
    ),
)
RUNNER = seeded(
    f"{CODE}/runner.py",
    f"{TESTS}/test_runner_released.py",
    (
        "the workspace is removed before the report is written",
        "report = self._make(attempt, workspace)",
        "report = self._make(attempt, workspace)\n                    workspace.remove_within(60)",
        f"{TESTS}/test_runner.py::test_a_report_is_on_disk_before_anything_is_removed",
    ),
    (
        "a host fault is reported as a failure of the job",
        "            if not failure.final:\n                subject",
        "            if failure.final:\n                subject",
        "test_a_program_that_this_host_cannot_start_is_a_host_fault_and_the_job_is_released",
    ),
    (
        "a job whose lease was lost is released",
        "released(Reason.WORKER_SHUTDOWN) if cause is Cause.SHUTDOWN else None",
        "released(Reason.WORKER_SHUTDOWN)",
        f"{STOPPED}::test_a_job_whose_lease_is_lost_is_stopped_whole_and_not_reported",
    ),
    (
        "a job cancelled during its download is not reported as cancelled",
        "if cause is Cause.CANCELLED:",
        "if cause is Cause.SHUTDOWN:",
        f"{STOPPED}::test_a_job_that_is_cancelled_during_its_download_is_never_started",
    ),
    (
        "the supervisor does not get the time limit",
        "limits = timeout_seconds, kill_grace_seconds",
        "limits = None, kill_grace_seconds",
        f"{STOPPED}::test_a_job_that_runs_for_too_long_has_failed_for_that_reason",
    ),
    (
        "an attempt that has begun is released when its supervisor dies",
        "if not died.begun:",
        "if died:",
        "test_a_job_whose_supervisor_was_killed_is_not_reported_and_left_until_its_lease_ends",
    ),
    (
        "a job whose server is away has failed",
        "if not error.failure.final:",
        "if error.failure.final:",
        "test_a_job_whose_program_cannot_be_downloaded_now_or_here_is_released_with_the_reason",
    ),
    (
        "a worker that shuts down waits for servers",
        "return not shutdown.requested",
        "return not shutdown.hurried",
        "test_a_download_that_waits_for_its_server_ends_when_the_worker_is_asked_to_stop",
    ),
)
PLATFORM = [
    *seeded(
        f"{CODE}/environment.py",
        f"{TESTS}/test_environment.py",
        (
            "a job cannot replace the user",
            '        "USER": user,\n        "LOGNAME": user,\n        **shared,',
            '        **shared,\n        "USER": user,\n        "LOGNAME": user,',
            "test_a_user_that_is_passed_through_is_the_workers",
        ),
        (
            "a job replaces the variables that describe it",
            '"JOB_DEADLINE": deadline,',
            '"JOB_DEADLINE": deadline,\n        **job.env_variables,',
            "test_variables_that_describe_the_job_cannot_be_replaced",
        ),
    ),
    *seeded(
        f"{CODE}/platform_stop.py",
        f"{TESTS}/test_platform_stop.py",
        (
            "a program that alone got SIGTERM is released",
            " and shutdown.requested_within(SIGNAL_DELAY_SECONDS)",
            "",
            "test_a_program_that_got_sigterm_alone_has_failed",
        ),
    ),
]
SEEDED_BUGS = [*LEASE, *HEARTBEAT, *ATTEMPT, *RUNNER, *PLATFORM]

"""Bugs that somebody might introduce in the worker, its client and its socket layer, each with the test that has to
find it.

`python -m tests.worker.seeded_bugs` tries them all, `python -m tests.worker.seeded_bugs lease drain` those whose names
contain one of the words.
"""

from __future__ import annotations

import sys

from tests.client import seeded_bugs as client
from tests.local import seeded_bugs as local
from tests.signing import seeded_bugs as signing
from tests.support.seeding import main, seeded
from tests.worker.attempts import seeded_bugs as attempts
from tests.worker.host import seeded_bugs as host
from tests.worker.programs import seeded_bugs as programs
from tests.worker.reports import seeded_bugs as reports
from tests.worker.slots import seeded_bugs as slots

LOOP_TESTS = "tests/worker/test_loop.py"

LOOP = [
    *seeded(
        "jobqueue/worker/loop.py",
        LOOP_TESTS,
        (
            "an API that is away ends --burst like an empty queue",
            "self._note_no_answer(error)",
            "self._note_no_answer(error)\n            self._found_none = True\n            return 0",
            "test_an_api_that_is_away_does_not_count_as_an_empty_queue",
        ),
        (
            "a worker that drains claims along with its reports",
            "            self._vacancies.close()\n        max_jobs",
            "            pass\n        max_jobs",
            "test_a_worker_that_was_asked_to_stop_claims_nothing_along_with_reports",
        ),
        (
            "a job claimed too late is run",
            "            self._pool.drain()\n",
            "",
            "test_a_job_that_is_claimed_while_the_worker_is_asked_to_stop_is_released",
        ),
        (
            "a claim that was not answered is not repeated",
            "self._unanswered.append(replace(request, wait_seconds=0))",
            "self.refused(request)",
            "test_a_claim_whose_answer_is_lost_is_repeated_until_it_is_answered",
        ),
        (
            "a claim that the worker withdraws is forgotten",
            "            self.repeat_last()\n",
            "",
            "test_a_job_that_a_withdrawn_claim_has_brought_is_released",
        ),
    ),
    *seeded(
        "jobqueue/worker/pool.py",
        LOOP_TESTS,
        (
            "an attempt that begins after the stop is not stopped",
            "stopped = self._stopped",
            "stopped = None",
            "test_an_attempt_that_begins_after_the_pool_was_stopped_is_stopped_too",
        ),
    ),
    *seeded(
        "jobqueue/worker/attempts/runner.py",
        LOOP_TESTS,
        (
            "a job that never ran speaks for the host",
            "if verdict is Verdict.MADE:\n            self._resources",
            "if verdict is not Verdict.HOST_FAULT:\n            self._resources",
            "test_a_job_that_comes_back_and_a_job_that_never_ran_are_no_evidence_about_the_host",
        ),
    ),
    *seeded(
        "jobqueue/worker/vacancies.py",
        "tests/worker/test_vacancies.py",
        (
            "jobs are claimed ahead although they are long",
            "if usual < SHORT_SECONDS else 0",
            "if usual < 3600 else 0",
            "test_nothing_is_claimed_ahead_while_jobs_are_long",
        ),
        (
            "one job more than --max-jobs is run",
            "math.inf if max_jobs is None else max_jobs",
            "math.inf if max_jobs is None else max_jobs + 1",
            f"{LOOP_TESTS}::test_a_loop_ends_after_max_jobs",
        ),
        (
            "more jobs than --max-jobs are claimed",
            "self._left - self._asked), 0)",
            "self._left), 0)",
            "test_no_more_jobs_are_claimed_than_the_worker_is_to_run",
        ),
    ),
    *seeded(
        "jobqueue/worker/breaker.py",
        "tests/worker/test_breaker.py",
        (
            "the worker pauses one fault too late",
            "self._faults >= FAULTS",
            "self._faults > FAULTS",
            "test_several_faults_in_a_row_are_a_reason_to_pause",
        ),
        (
            "faults that are not in a row add up",
            "self._faults = self._doublings = 0",
            "self._doublings = 0",
            "test_faults_with_a_made_attempt_between_them_are_not_in_a_row",
        ),
        (
            "one submitter's misspelt host name halts every worker",
            'return self.tripped and (len(self._subjects) > 1 or "" in self._subjects)',
            "return self.tripped",
            "test_faults_about_one_server_cost_a_pause_each_and_are_no_evidence_against_the_host",
        ),
    ),
    *seeded(
        "jobqueue/worker/shutdown.py",
        "tests/worker/test_shutdown.py",
        (
            "nohup does not protect a worker",
            "if number != signal.SIGHUP or not _is_ignored(number)",
            "if number",
            "test_a_worker_started_by_nohup_outlives_its_terminal",
        ),
        (
            "a second signal does not end the drain",
            "min(self._requested_at + drain_seconds, self._hurried_at)",
            "self._requested_at + drain_seconds",
            "test_a_worker_that_hurries_has_no_time_left_to_drain",
        ),
    ),
]
SEEDED_BUGS = [
    *attempts.SEEDED_BUGS,
    *reports.SEEDED_BUGS,
    *LOOP,
    *slots.SEEDED_BUGS,
    *host.SEEDED_BUGS,
    *programs.SEEDED_BUGS,
    *client.SEEDED_BUGS,
    *local.SEEDED_BUGS,
    *signing.SEEDED_BUGS,
]

if __name__ == "__main__":
    sys.exit(main(SEEDED_BUGS, sys.argv[1:]))

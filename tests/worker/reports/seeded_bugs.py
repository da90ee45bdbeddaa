"""Bugs in how reports are kept and sent, each with the test that has to find it."""

from __future__ import annotations

from tests.support.seeding import seeded

CODE = "jobqueue/worker/reports"
TESTS = "tests/worker/reports"

SPOOL = [
    *seeded(
        f"{CODE}/spool.py",
        f"{TESTS}/test_delivery.py",
        (
            "a waiting report stays in memory",
            "body.close()\n        return SpooledReport(job_id, verb, path, on_done)",
            "return SpooledReport(job_id, verb, body, on_done)",
            "test_a_report_that_waits_on_disk_takes_no_memory",
        ),
        (
            "reports for another API are sent to this one",
            "hashlib.sha256(api_url.encode())",
            'hashlib.sha256(b"")',
            f"{TESTS}/test_spool_restart.py::test_reports_for_another_api_are_left_alone",
        ),
        (
            "the small reports of a killed worker are not adopted",
            "yield from self._adopt_journal(path.rename(self.path / path.name))",
            "path.unlink()",
            f"{TESTS}/test_journal.py::test_the_next_worker_sends_the_small_reports_that_a_killed_one_could_not",
        ),
    ),
    *seeded(
        f"{CODE}/journal.py",
        f"{TESTS}/test_journal.py",
        (
            "answered reports are sent again by the next worker",
            "journal._forget(_offsets(line))",
            "pass",
            "test_answered_reports_of_a_journal_are_not_adopted",
        ),
        (
            "half a line is taken for a report",
            'line.endswith(b"}\\n") and ',
            "",
            "test_a_line_that_a_killed_worker_did_not_finish_is_left_out",
        ),
    ),
]
DELIVERY = [
    *seeded(
        f"{CODE}/delivery.py",
        f"{TESTS}/test_delivery.py",
        (
            "abandoned reports are not adopted",
            "self._outbox.add_found(self._spool.adopt())",
            "self._outbox.add_found([])",
            f"{TESTS}/test_spool_restart.py::test_the_next_worker_sends_what_a_killed_one_could_not",
        ),
        (
            "a refused report is sent again",
            "reason=str(refused))",
            "reason=str(refused))\n            return False",
            "test_a_refused_report_is_dropped_and_logged",
        ),
        (
            "a report without an answer is dropped",
            "return False, error.pause_seconds",
            "return True, error.pause_seconds",
            "test_an_unanswered_report_is_sent_until_it_is_answered",
        ),
        (
            "a claim that was sent with reports and not answered is forgotten",
            "self._outbox.intake.repeat(batch.claim)",
            "self._outbox.intake.refused(batch.claim)",
            f"{TESTS}/test_batches.py::test_a_claim_along_with_reports_is_repeated_until_it_is_answered",
        ),
    ),
    *seeded(
        f"{CODE}/outbox.py",
        f"{TESTS}/test_batches.py",
        (
            "reports wait for a batch that is stuck",
            "now - batch.begun_at < STUCK_SECONDS",
            "now > 0",
            "test_reports_do_not_wait_for_a_batch_that_is_stuck",
        ),
        (
            "each report goes by itself",
            "range(min(len(self._fresh), MAX_JOBS))",
            "range(1)",
            "test_what_ends_while_a_batch_is_under_way_goes_with_the_next_one",
        ),
    ),
]
SEEDED_BUGS = [*SPOOL, *DELIVERY]

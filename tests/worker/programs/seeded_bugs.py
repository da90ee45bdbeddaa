"""Bugs in how programs are downloaded and cached, each with the test that has to find it."""

from __future__ import annotations

from tests.support.seeding import seeded

CODE = "jobqueue/worker/programs"
TESTS = "tests/worker/programs"
SSRF = "tests/security/test_ssrf.py"
REDIRECTS = f"{TESTS}/test_download_redirects.py"

KEPT = seeded(
    f"{CODE}/kept_copies.py",
    f"{TESTS}/test_kept_copies.py",
    (
        "a copy is used again although a job may have written to it",
        "fcntl.fcntl(self.fd, F_GETLEASE) == fcntl.F_RDLCK and ",
        "",
        "test_a_copy_that_a_job_has_touched_is_never_used_again",
    ),
    (
        "two programs run from one file",
        " and not each.is_in_use()",
        "",
        "test_a_copy_is_used_again_by_one_program_after_the_other",
    ),
)

DOWNLOADS = seeded(
    f"{CODE}/download.py",
    f"{TESTS}/test_download.py",
    (
        "the checksum of a download is not checked",
        "if sha256 == self._request.sha256:",
        "if sha256:",
        "test_a_wrong_checksum_leaves_no_file_and_the_message_has_both_checksums",
    ),
    (
        "the second try asks the caches again",
        "PAST_CACHES if again else {}",
        "{}",
        f"{TESTS}/test_download_tries.py::test_a_wrong_checksum_is_checked_once_more_past_all_caches",
    ),
    (
        "a download that goes on is given up like one that cannot begin",
        "        if progressed:\n",
        "        if limit is None:\n",
        f"{TESTS}/test_download_resumed.py::test_progress_renews_the_time_for_tries",
    ),
    (
        "slots that wait for one server wait one after the other",
        "        elif failed:\n",
        "        elif failed and failed.progressed:\n",
        f"{TESTS}/test_cache_patience.py::test_slots_that_wait_for_one_server_share_the_wait",
    ),
)
TRANSFERS = seeded(
    f"{CODE}/transfer.py",
    f"{TESTS}/test_download.py",
    (
        "only the announced size is limited",
        "            self._rules.check_size(file.byte_count + len(piece))\n",
        "",
        "test_a_body_that_turns_out_too_large_is_given_up",
    ),
    (
        "a password is sent to another origin",
        "(credentials if place.origin == origin else None)",
        "credentials",
        f"{REDIRECTS}::test_redirects_are_followed_without_the_password",
    ),
    (
        "redirects may lead to any host",
        "self._rules.check_url(address)",
        "(DownloadRules() if origin else self._rules).check_url(address)",
        f"{REDIRECTS}::test_every_redirect_is_checked_against_the_rules",
    ),
    (
        "redirects may lead to any address",
        "limit, trail) as answer",
        "limit, type(trail)(DownloadRules().addresses) if hop else trail) as answer",
        f"{SSRF}::test_a_chain_of_redirects_is_checked_at_every_hop",
    ),
    (
        "a job is told that a private server has no such program",
        "            if trail.is_private:\n",
        "            if trail.is_private and not error.failure.final:\n",
        f"{SSRF}::test_whatever_a_private_address_answers_or_not_the_job_is_told_the_same",
    ),
    (
        "one redirect too few is followed",
        "range(1 + MOST_REDIRECTS)",
        "range(MOST_REDIRECTS)",
        f"{REDIRECTS}::test_five_redirects_are_followed",
    ),
)
PARTS = seeded(
    f"{CODE}/partial_file.py",
    f"{TESTS}/test_download_resumed.py",
    (
        "the rest of another version is appended",
        "if not same or (self._total",
        "if (self._total",
        "test_a_rest_that_does_not_fit_is_not_appended",
    ),
    (
        "what arrived is requested again",
        '"Range": f"bytes={self.byte_count}-"',
        '"Range": "bytes=0-"',
        "test_a_large_program_arrives_over_a_link_that_breaks",
    ),
)
CACHE = [
    *seeded(
        f"{CODE}/verified_copy.py",
        f"{TESTS}/test_cache_hostile.py",
        (
            "a cached program is not checked again",
            "digest.hexdigest() == sha256",
            "digest.hexdigest() is not None",
            "test_a_changed_entry_is_downloaded_again",
        ),
    ),
    *seeded(
        "jobqueue/worker/isolation/executable.py",
        "tests/security/test_swap_between_check_and_start.py",
        (
            "whatever lies at the path of a program is started",
            "if [info.st_dev, info.st_ino] != [*number]:",
            "if not number:",
            "test_a_file_that_was_swapped_after_the_check_is_not_started",
        ),
    ),
    *seeded(
        "jobqueue/worker/supervisor/program.py",
        "tests/security/test_swap_between_check_and_start.py",
        (
            "a program is executed by its path",
            "by_descriptor = descriptor if self.isolation.executes_itself else None",
            "by_descriptor = None",
            "test_ten_thousand_swaps_at_the_last_moment_change_nothing",
        ),
    ),
    *seeded(
        f"{CODE}/cache_files.py",
        f"{TESTS}/test_cache_eviction.py",
        (
            "the most recently used program is evicted first",
            "sorted(self._all())",
            "sorted(self._all(), reverse=True)",
            "test_the_least_recently_used_program_is_evicted_first",
        ),
    ),
    *seeded(
        f"{CODE}/cache.py",
        f"{TESTS}/test_cache_eviction.py",
        (
            "the use of a program is not noted",
            "mark_as_used(source_fd)",
            "pass",
            "test_the_least_recently_used_program_is_evicted_first",
        ),
        (
            "cached programs may come from any host",
            "        self._rules.check_url(request.url)",
            "        pass",
            f"{TESTS}/test_cache.py::test_the_rules_apply_to_cached_programs_too",
        ),
    ),
]
SEEDED_BUGS = [*KEPT, *DOWNLOADS, *TRANSFERS, *PARTS, *CACHE]

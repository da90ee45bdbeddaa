"""Bugs in the HTTP client of the API and in the socket layer below it, each with the test that has to find it."""

from __future__ import annotations

from tests.support.seeding import seeded

NET = [
    *seeded(
        "jobqueue/net/heads.py",
        "tests/net/test_heads.py",
        (
            "of two lengths the last one counts",
            "len(values) < len(lines) or ",
            "",
            "test_a_head_is_taken_for_the_same_as_by_the_library",
        ),
        (
            "a chunked answer ends at its length",
            ' or "transfer-encoding" in values',
            "",
            "test_a_head_is_taken_for_the_same_as_by_the_library",
        ),
        (
            "an ordinary head is parsed as an e-mail",
            "if self._take(head.plain()):",
            "if False:",
            "test_an_ordinary_head_is_not_parsed_as_an_email",
        ),
    ),
    *seeded(
        "jobqueue/net/connections.py",
        "tests/client/test_transport.py",
        (
            "an answer that breaks off is complete",
            "    if response.length:",
            "    if False:",
            "test_an_answer_that_is_cut_short_or_not_http_is_an_unavailable_api",
        ),
        (
            "an answer that a proxy has encoded is not decoded",
            'if encoding != "identity":',
            "if False:",
            "test_an_answer_that_a_proxy_has_encoded_is_decoded",
        ),
    ),
    *seeded(
        "jobqueue/net/time_limit.py",
        "tests/net/test_time_limit.py",
        (
            "a stop is not noticed",
            "if self._stopped.is_set():",
            "if not self._stopped:",
            "test_a_stop_is_noticed_by_the_next_check",
        ),
        (
            "a wait goes beyond the deadline",
            "min(TICK_SECONDS, self._deadline - now)",
            "TICK_SECONDS",
            "test_the_wait_until_the_next_check_does_not_go_beyond_the_deadline",
        ),
        (
            "a deadline does not end anything",
            "if now >= self._deadline:",
            "if now < 0:",
            "test_a_passed_deadline_is_reported_with_its_length",
        ),
    ),
    *seeded(
        "jobqueue/net/addresses.py",
        "tests/client/test_time_limit.py",
        (
            "only the first address of a host is tried",
            "del self._attempts[opened.fileno()]",
            "del self._attempts[opened.fileno()]\n        self._untried.clear()",
            "test_the_next_address_is_tried_when_the_first_is_dead",
        ),
    ),
    *seeded(
        "jobqueue/net/destinations/hosts.py",
        "tests/net/destinations/test_hosts.py",
        (
            "a host pattern matches other hosts with that ending",
            "name.endswith(domain) and",
            "name.endswith(domain[1:]) and",
            "test_a_pattern_includes_no_other_server",
        ),
    ),
    *seeded(
        "jobqueue/net/destinations/addresses.py",
        "tests/net/destinations/test_addresses.py",
        (
            "an address within another one is not looked at",
            "for each in (parsed, *embedded) for network in FORBIDDEN",
            "for each in (parsed,) for network in FORBIDDEN",
            "test_an_address_that_stands_for_another_one_is_of_its_kind",
        ),
    ),
    *seeded(
        "jobqueue/redaction.py",
        "tests/test_redaction.py",
        (
            "a password with a slash is shown",
            "AT.search(path + later)",
            "AT.search(later)",
            "test_no_secret_of_a_url_is_shown",
        ),
        (
            "the query of a path without a host is shown",
            r"(?<=[\w/.~%-])\?[",
            r"(?<=[\w/.~%-])\?canary[",
            "tests/test_logs.py::test_the_secrets_of_a_url_in_an_exception_are_not_logged",
        ),
    ),
    *seeded(
        "jobqueue/log_stream.py",
        "tests/test_log_stream.py",
        (
            "a child of fork writes the lines of its parent again",
            "if self._process != os.getpid():",
            "if self._process == 0:",
            "test_a_child_of_fork_does_not_write_the_lines_of_its_parent",
        ),
        (
            "what others share becomes non-blocking",
            "    with suppress(OSError):\n        own = os.open(",
            "    os.set_blocking(fd, False)\n    with suppress(OSError):\n        own = os.open(",
            "test_the_descriptor_that_others_share_stays_blocking",
        ),
    ),
    *seeded(
        "jobqueue/net/statuses.py",
        "tests/client/test_transport.py",
        (
            "an error of the server refuses for good",
            "status >= HTTPStatus.INTERNAL_SERVER_ERROR or ",
            "",
            "test_a_passing_status_is_an_unavailable_api",
        ),
    ),
]
TOKEN = [
    *seeded(
        "jobqueue/client/token.py",
        "tests/client/test_token.py",
        (
            "a token that was replaced is used until the worker is restarted",
            "if stamp != self._read.stamp:",
            "if not stamp:",
            "test_a_token_in_a_file_is_read_again_when_the_file_changes",
        ),
        (
            "a half-written token replaces a good one",
            " and not is_mistyped(text)",
            "",
            "test_a_file_that_holds_no_token_for_a_while_leaves_the_one_before",
        ),
    ),
    *seeded(
        "jobqueue/client/transport.py",
        "tests/client/test_token.py",
        (
            "results are dropped while the token is refused",
            "raise self._refusal_of_token(status, error[:LONGEST_SHOWN], context)",
            "pass",
            "tests/worker/reports/test_delivery.py::test_a_report_is_kept_and_sent_until_the_api_accepts_the_token",
        ),
    ),
    *seeded(
        "jobqueue/client/exchange.py",
        "tests/client/test_token.py",
        (
            "a request that met a new token is lost",
            " and self._token.replaces(self._sent_token)",
            " and not self._token.replaces(self._sent_token)",
            "test_a_request_whose_token_was_replaced_under_way_is_sent_again_at_once",
        ),
    ),
]
CLIENT = [
    *seeded(
        "jobqueue/client/transport.py",
        "tests/client/test_transport.py",
        (
            "another server's 404 is a refusal",
            "raise self._foreign(answer)",
            'raise ApiRefused(status, "", {})',
            "tests/client/test_claims.py::test_a_404_of_another_server_does_not_lose_a_lease",
        ),
    ),
    *seeded(
        "jobqueue/client/exchange.py",
        "tests/client/test_exchange.py",
        (
            "a file is sent from where it was left",
            "        request.body.seek(0)\n",
            "",
            "tests/client/test_transport.py::test_a_file_is_sent_from_its_beginning_and_stays_open",
        ),
        (
            "a connection that passes nothing is used to the end of the time limit",
            "limit.tolerate_silence(silence)",
            "pass",
            "test_a_report_does_not_wait_for_a_connection_that_passes_nothing",
        ),
        (
            "a claim is sent twice when its answer is lost",
            "if request.repeatable else ()",
            "if request.path else ()",
            "test_a_claim_is_not_sent_again_on_another_connection",
        ),
    ),
    *seeded(
        "jobqueue/client/claimed_job.py",
        "tests/client/test_claims.py",
        (
            "a lease counts from the answer to the claim",
            "if name in answer}, asked_at=asked_at)",
            "if name in answer})",
            "test_a_lease_is_counted_from_the_moment_before_the_claim",
        ),
    ),
    *seeded(
        "jobqueue/client/batches.py",
        "tests/client/test_batches.py",
        (
            "results of other jobs count as these",
            " or not result.startswith(_beginning(job_id))",
            "",
            "test_an_answer_about_another_job_is_not_taken_for_a_stored_result",
        ),
        (
            "an older API is asked for batches again and again",
            "if self.older.assumed:\n            return self._single_heartbeats",
            "if False:\n            return self._single_heartbeats",
            "test_an_older_api_is_asked_for_batches_once_a_minute",
        ),
    ),
    *seeded(
        "jobqueue/client/claims.py",
        "tests/client/test_claims.py",
        (
            "any object counts as the API's answer",
            ' or answer.get("id") != job_id',
            "",
            "test_an_answer_of_another_server_is_not_taken_for_a_stored_result",
        ),
    ),
]
SEEDED_BUGS = [*NET, *TOKEN, *CLIENT]

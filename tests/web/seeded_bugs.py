"""Bugs that somebody might introduce in the web package, each with the test that has to find it.

`python -m tests.web.seeded_bugs` tries them all, `python -m tests.web.seeded_bugs link` those whose names contain the
word.
"""

from __future__ import annotations

import sys

from tests.support.seeding import main, seeded
from tests.web import seeded_limits as limits
from tests.web.perimeter import seeded_bugs as perimeter

CODE = "jobqueue/web"
TESTS = "tests/web"
JOB_TESTS = f"{TESTS}/test_jobs.py"

SCHEMAS = [
    *seeded(
        f"{CODE}/schemas/fields.py",
        f"{TESTS}/test_bad_input.py",
        (
            "an argument may be one byte too long",
            "128 * 1024 - 1",
            "128 * 1024",
            "test_a_job_with_a_bad_value_is_refused_by_field",
        ),
        (
            "bytes are counted as characters",
            "len(text.encode()) > longest_bytes",
            "len(text) > longest_bytes",
            "test_a_job_with_a_bad_value_is_refused_by_field",
        ),
        (
            "a URL may have any port",
            "3[0-5]",
            "3[0-9]",
            "test_a_job_with_a_bad_value_is_refused_by_field",
        ),
        (
            "true is a number",
            "isinstance(value, bool) or not isinstance(value, int):",
            "not isinstance(value, int):",
            f"{TESTS}/test_bad_reports.py::test_a_result_with_a_bad_value_is_refused_by_field",
        ),
    ),
    *seeded(
        f"{CODE}/schemas/shortcut.py",
        f"{TESTS}/test_shortcut.py",
        (
            "the shortcut takes an argument that is too long",
            "size + len(texts) * (OVERHEAD_BYTES + 1) > MAX_ARGUMENT_BYTES",
            "len(texts) > MAX_ARGUMENT_BYTES",
            "test_the_shortcut_is_not_wider_than_the_schema_at_the_edges_of_a_field",
        ),
        (
            "the shortcut takes unknown fields",
            " or not data.keys() <= NAMES",
            "",
            "test_the_shortcut_is_not_wider_than_the_schema_at_the_edges_of_a_field",
        ),
        (
            "the shortcut takes a checksum as it was written",
            "sha256.lower()",
            "sha256",
            "test_a_checksum_is_stored_in_lower_case_whoever_checks_the_job",
        ),
        (
            "the shortcut takes a time limit as it was written",
            "exactly(timeout))",
            "timeout)",
            f"{JOB_TESTS}::test_a_time_limit_of_whole_seconds_is_shown_without_a_point",
        ),
        (
            "the shortcut takes unknown fields of a result",
            "data.keys() <= (OF_A_FAILURE if verb is Verb.FAIL else OF_A_SUCCESS)",
            "True",
            "test_the_shortcut_for_results_is_not_wider_than_the_schema",
        ),
        (
            "the shortcut takes a message with a success",
            "(OF_A_FAILURE if verb is Verb.FAIL else OF_A_SUCCESS)",
            "OF_A_FAILURE",
            "test_the_shortcut_for_results_is_not_wider_than_the_schema",
        ),
        (
            "the shortcut takes what is not text for an empty output",
            '["" if data.get(name) is None else data[name] for',
            '[data.get(name) or "" for',
            "test_the_shortcut_for_results_is_not_wider_than_the_schema",
        ),
        (
            "the shortcut takes a measured time as it was written",
            "exactly(value) for name",
            "value for name",
            "test_the_shortcut_for_results_is_not_wider_than_the_schema",
        ),
        (
            "the shortcut leaves null to the schema",
            "    variables = {} if variables is None else variables\n",
            "",
            "test_the_shortcut_accepts_what_is_usual",
        ),
    ),
    *seeded(
        f"{CODE}/schemas/submitters.py",
        f"{TESTS}/test_bad_input.py",
        (
            "the faults of a bulk are named by their place among the unusual jobs",
            "{indexes[place]: fault",
            "{place: fault",
            f"{TESTS}/test_shortcut.py::test_the_faults_of_a_bulk_are_named_by_index_whoever_checks_its_jobs",
        ),
        (
            "a bulk may be empty",
            "if not 1 <= len(data) <= MAX_BULK:",
            "if len(data) > MAX_BULK:",
            "test_a_bulk_with_too_few_or_too_many_jobs_is_refused",
        ),
        (
            "a page may have two beginnings",
            'if "cursor" in data and "offset" in data:',
            "if False:",
            f"{TESTS}/test_bad_queries.py::test_a_page_has_one_beginning",
        ),
        (
            "a list may have no entries",
            "validate.Range(1, MAX_LIMIT)",
            "validate.Range(0, MAX_LIMIT)",
            f"{TESTS}/test_bad_queries.py::test_a_bad_parameter_is_refused_by_name",
        ),
        (
            "the overhead of arguments is not counted",
            "len(text.encode()) + fields.OVERHEAD_BYTES for",
            "len(text.encode()) for",
            "test_a_job_with_a_bad_value_is_refused_by_field",
        ),
        (
            "a time limit of zero is allowed",
            "min_inclusive=False",
            "min_inclusive=True",
            "test_a_job_with_a_bad_value_is_refused_by_field",
        ),
        (
            "a checksum is stored as it was written",
            'data["binary_sha256"].lower()',
            'data["binary_sha256"]',
            f"{TESTS}/test_shortcut.py::test_a_checksum_is_stored_in_lower_case_whoever_checks_the_job",
        ),
    ),
    *seeded(
        f"{CODE}/schemas/requests.py",
        f"{TESTS}/test_null.py",
        (
            "null is a value",
            "if None not in data.values():",
            "if None in data.values():",
            "test_null_in_an_optional_field_is_the_same_as_leaving_it_out",
        ),
    ),
    *seeded(
        f"{CODE}/bodies/threads.py",
        f"{TESTS}/test_large_bodies.py",
        (
            "a refused body waits for the garbage collector",
            "        del error",
            "        pass",
            "test_a_long_calculation_does_not_stop_gevents_loop_nor_keeps_what_it_refuses",
        ),
    ),
    *seeded(
        f"{CODE}/bodies/strict_json.py",
        f"{TESTS}/test_bad_json.py",
        (
            "a name may come twice in an object",
            "len(value) != len(pairs)",
            "len(value) > len(pairs)",
            "test_a_body_that_is_not_strict_json_is_refused_by_every_route",
        ),
        (
            "an escaped quotation mark ends a text",
            """.replace(b'\\\\"', b"")""",
            "",
            f"{TESTS}/test_body_limits.py::test_the_entries_of_a_body_are_counted_outside_its_texts",
        ),
    ),
    *seeded(
        f"{CODE}/bodies/parser.py",
        f"{TESTS}/test_bad_queries.py",
        (
            "unknown parameters are ignored",
            "marshmallow.RAISE",
            "marshmallow.EXCLUDE",
            "test_an_unknown_parameter_of_a_cancel_is_refused_by_name",
        ),
    ),
    *seeded(
        f"{CODE}/bodies/reader.py",
        f"{TESTS}/test_body_limits.py",
        (
            "a chunked body is cut at the limit",
            "if knows_length else limit.bytes + 1",
            "if knows_length else limit.bytes",
            f"{TESTS}/test_gunicorn.py::test_a_chunked_body_that_is_too_large_is_refused",
        ),
        (
            "a body may have any length",
            "_check_length(received.content_length or 0, limit)",
            "_check_length(0, limit)",
            f"{TESTS}/test_gunicorn.py::test_a_body_whose_content_length_is_too_large_is_refused_unread",
        ),
    ),
]
ROUTES = [
    *seeded(
        f"{CODE}/routes/jobs.py",
        f"{TESTS}/test_lists.py",
        (
            "the location is that of all jobs",
            'f"./jobs/{job_id}"',
            'f"./jobs"',
            f"{JOB_TESTS}::test_the_location_of_a_submitted_job_is_its_url",
        ),
        (
            "the total is that of the page",
            "pages.answer(entries, page.total,",
            "pages.answer(entries, len(page.jobs),",
            "test_limit_and_offset_select_a_page",
        ),
        (
            "a cancel request is answered like a cancelled job",
            '"cancel_requested": True}, 202',
            '"cancel_requested": True}, 200',
            f"{TESTS}/test_stops.py::test_a_forced_cancel_marks_a_running_job_and_its_heartbeats_say_so",
        ),
    ),
    *seeded(
        f"{CODE}/pages.py",
        f"{TESTS}/test_lists.py",
        (
            "the link to the next page forgets the filters",
            '{**sought, "limit"',
            '{"limit"',
            "test_a_link_keeps_the_filters",
        ),
        (
            "a walk ends after its first page",
            '{"cursor": next_cursor} if next_cursor else None',
            "None",
            "test_a_walk_shows_every_job_once_newest_first",
        ),
        (
            "the last page has a link to an empty one",
            "offset + limit < total",
            "offset + limit <= total",
            "test_following_the_links_shows_every_job_once",
        ),
    ),
    *seeded(
        f"{CODE}/routes/claims.py",
        f"{TESTS}/test_claims.py",
        (
            "a replay has no header",
            "if is_replay else {}",
            "if False else {}",
            f"{TESTS}/test_results.py::test_a_replay_with_the_token_is_answered_like_the_first_report",
        ),
        (
            "a claim of up to one job answers no list",
            "if wanted.many else",
            "if len(jobs) > 1 else",
            f"{TESTS}/test_batches.py::test_a_claim_of_up_to_one_job_is_a_list_and_one_without_a_number_is_not",
        ),
        (
            "an executor without an address has none",
            "executor_ip=request.remote_addr",
            "executor_ip=None",
            "test_the_address_of_an_executor_is_the_callers_unless_it_sends_one",
        ),
    ),
    *seeded(
        f"{CODE}/routes/admin.py",
        f"{TESTS}/test_admin.py",
        (
            "the total of executors is that of the page",
            "page.executors)], page.total",
            "page.executors)], len(page.executors)",
            "test_limit_and_offset_select_a_page_of_executors",
        ),
    ),
    *seeded(
        f"{CODE}/schemas/executors.py",
        f"{TESTS}/test_releases.py",
        (
            "the message of a release is dropped",
            'data["error_message"] or ""',
            '""',
            "test_a_host_fault_shows_in_the_attempt_while_the_job_is_pending",
        ),
    ),
    *seeded(
        f"{CODE}/schemas/batches.py",
        f"{TESTS}/test_batches.py",
        (
            "an id in a heartbeat is taken as it was written",
            'Beat(normalized(data["id"])',
            'Beat(data["id"]',
            "test_one_heartbeat_answers_every_job_of_an_executor",
        ),
        (
            "a report needs no token",
            "required=True, validate=executors.TOKEN",
            "load_default=str, validate=executors.TOKEN",
            "test_a_malformed_result_refuses_the_whole_request_by_its_index",
        ),
    ),
    *seeded(
        f"{CODE}/routes/health.py",
        f"{TESTS}/test_health.py",
        (
            "an unhealthy server answers 200",
            'Health.DISCONNECTED: ("unhealthy", 503)',
            'Health.DISCONNECTED: ("unhealthy", 200)',
            "test_without_redis_the_server_is_unhealthy",
        ),
    ),
]
BODIES = [
    *seeded(
        f"{CODE}/bodies/inflating.py",
        f"{TESTS}/test_gzip.py",
        (
            "a gzip stream may be cut off",
            "if not self._member.eof:",
            "if False:",
            "test_a_stream_that_is_cut_off_is_refused",
        ),
        (
            "a gzip stream may have any number of members",
            "if self._members >= MAX_MEMBERS:",
            "if False:",
            "test_a_damaged_stream_is_refused",
        ),
    ),
    *seeded(
        f"{CODE}/bodies/reader.py",
        f"{TESTS}/test_gzip.py",
        (
            "inflating goes on beyond the limit",
            "if knows_length else limit.bytes + 1",
            "if knows_length else 99 * limit.bytes",
            "test_inflating_stops_at_the_limit",
        ),
    ),
]
IDEMPOTENCY = [
    *seeded(
        f"{CODE}/requests/idempotency.py",
        f"{TESTS}/test_idempotency.py",
        (
            "two routes share their keys",
            'else f"{operation}:{word}"',
            "else word",
            "test_the_key_of_one_route_says_nothing_about_another",
        ),
        (
            "all callers share their keys",
            'return f"{name}/{operation}:{word}" if name else',
            "return",
            f"{TESTS}/access/test_attempts.py::test_an_idempotency_key_of_another_name_has_never_been_used",
        ),
        (
            "a malformed key is no key",
            "raise InvalidIdempotencyKey",
            'return ""',
            "test_a_malformed_key_is_refused_and_nothing_is_stored",
        ),
    ),
    *seeded(
        "lua/submit.lua",
        "tests/lua/test_idempotency.py",
        (
            "other jobs get the answer of the first ones",
            "if first_fingerprint ~= fingerprint then",
            "if false then",
            "test_other_jobs_with_the_same_key_are_refused_and_not_stored",
        ),
        (
            "a key is remembered for ever",
            ", 'PX', keep_ms)",
            ")",
            "test_a_key_is_remembered_for_its_time_and_takes_as_little_space_for_many_jobs",
        ),
    ),
]
STORE = [
    *seeded(
        "jobqueue/queue/waiting/waiters.py",
        "tests/queue/waiting/test_waiters.py",
        (
            "a client that has gone is handed a job",
            "return waiting.client.is_connected()",
            "return True",
            "test_the_wake_of_a_client_that_has_gone_goes_to_the_next",
        ),
        (
            "a notice that comes while a claim asks is lost",
            "if self._waking.known.missed_since(asked, waiting.types):",
            "if False:",
            "test_a_job_that_comes_while_a_claim_asks_is_not_missed",
        ),
    ),
    *seeded(
        "jobqueue/queue/waiting/waking.py",
        "tests/queue/waiting/test_waiters.py",
        (
            "a new job wakes everybody",
            "for number in range(count):\n            waiting = ",
            "for number in range(10 * count):\n            waiting = ",
            "test_new_jobs_wake_one_claim_each_in_the_order_in_which_they_began_to_wait",
        ),
    ),
    *seeded(
        "jobqueue/queue/waiting/waiters.py",
        "tests/queue/waiting/test_companions.py",
        (
            "a claim that went along with a job leaves before it is answered",
            "waiting.companion.landed.wait()",
            "pass",
            "test_one_that_has_to_leave_meanwhile_is_still_answered_with_its_job",
        ),
        (
            "the lease of a claim that went along counts from its answer",
            "companion.number, companion.sent_at,",
            "companion.number, asked_at,",
            "test_the_lease_counts_from_when_the_claim_was_sent",
        ),
    ),
    *seeded(
        "jobqueue/queue/waiting/waking.py",
        "tests/queue/waiting/test_companions.py",
        (
            "a claim goes along before an older one of another process",
            " or (others and others[0] < first.place)",
            "",
            "test_nobody_goes_along_before_an_older_claim_of_another_process",
        ),
        (
            "a claim of a client that has gone goes along",
            "if not first.client.is_connected():",
            "if False:",
            "test_nobody_goes_along_with_a_job_that_nobody_here_may_get_first",
        ),
        (
            "a notice that comes while a claim is on its way wakes another one",
            "not self._echoes.is_held(work, name) and ",
            "",
            "test_notices_are_held_back_while_it_is_not_known_which_is_about_the_job",
        ),
        (
            "the notice of a job wakes another claim than the one that went along",
            "if self._echoes.expect(name):",
            "if True:",
            "test_the_first_who_takes_the_type_gets_what_its_claim_was_answered",
        ),
    ),
    *seeded(
        "jobqueue/queue/waiting/companions.py",
        "tests/queue/waiting/test_companions.py",
        (
            "a claim waits for ever when the exchange fails that it went along with",
            "    finally:\n        companion.land",
            "    except KeyError:\n        companion.land",
            "test_a_claim_asks_again_when_the_exchange_has_failed",
        ),
        (
            "a refused job counts as stored when a claim went along",
            "    if isinstance(stored, JobQueueError):\n        raise stored\n",
            "",
            "test_a_claim_goes_on_when_the_job_is_refused",
        ),
    ),
    *seeded(
        "jobqueue/queue/waiting/notices.py",
        "tests/queue/waiting/test_waiters.py",
        (
            "a job wakes one claim when it is stored, and another one when Redis sends its notice",
            "if self._expected.pop(name, self) is None:",
            "if False:",
            "test_a_job_of_this_process_wakes_one_claim_though_its_notice_comes_too",
        ),
        (
            "a job wakes one claim when Redis sends its notice, and another one when it is stored",
            "if self._received.pop(name, self) is None:",
            "if False:",
            "test_a_job_of_this_process_wakes_one_claim_though_its_notice_comes_too",
        ),
    ),
    *seeded(
        "jobqueue/queue/waiting/listener.py",
        "tests/queue/waiting/test_listener.py",
        (
            "a deaf listener listens for ever",
            "elif asked:",
            "elif False:",
            "test_a_connection_that_falls_silent_is_replaced",
        ),
    ),
    *seeded(
        "jobqueue/queue/connection.py",
        "tests/queue/test_connection.py",
        (
            "a script whose answer got lost is sent again",
            "(changes_nothing and ended)",
            "ended",
            "test_a_script_whose_answer_got_lost_ran_once_and_is_not_sent_again",
        ),
        (
            "one silent connection makes its process refuse everybody",
            "if not self._answers():\n                    self.note_outage(error)",
            "self.note_outage(error)",
            "test_one_connection_that_goes_silent_costs_its_caller_an_answer_and_nobody_else",
        ),
    ),
    *seeded(
        "jobqueue/queue/transport/pool.py",
        "tests/queue/test_connection_answers.py",
        (
            "a connection outlives the answer of a replica",
            "if isinstance(answer, redis.ResponseError) and code_of(answer) in LAST_ON_A_CONNECTION:",
            "if False:",
            "test_a_connection_to_the_wrong_server_is_not_used_again",
        ),
        (
            "a connection outlives the answer of a replica to a command of redis-py",
            "if code_of(error) in LAST_ON_A_CONNECTION:",
            "if False:",
            "test_a_connection_to_the_wrong_server_is_not_used_again",
        ),
        (
            "the other connections outlive the answer of a replica",
            "            self._generation += 1",
            "            pass",
            "test_one_answer_of_a_replica_ends_the_other_connections_unasked",
        ),
        (
            "the other connections outlive a silent one",
            "            self.renew()\n",
            "",
            "tests/queue/test_idle_connections.py::test_a_silent_connection_lets_all_idle_ones_be_replaced_unasked",
        ),
        (
            "an answer that nobody asked for becomes the answer to the next command",
            "if replies.has_more:",
            "if False:",
            "tests/queue/test_replies.py::test_an_answer_too_many_is_not_read_as_the_answer_to_the_next_command",
        ),
    ),
    *seeded(
        "jobqueue/queue/scripts.py",
        "tests/queue/test_call_many.py",
        (
            "after a failover the scripts that have run are run again",
            "for index, reply in self._replies.items() if not _is_for_another_server(reply)",
            "for index, reply in self._replies.items() if False",
            "test_what_a_replica_refuses_is_called_again_and_nothing_else",
        ),
    ),
]
ERRORS = [
    *seeded(
        f"{CODE}/errors.py",
        f"{TESTS}/test_errors.py",
        (
            "a report from a non-holder is answered 400",
            "errors.NotHeld: HTTPStatus.NOT_FOUND",
            "errors.NotHeld: HTTPStatus.BAD_REQUEST",
            f"{TESTS}/test_claims.py::test_a_report_from_anybody_but_the_holder_is_refused",
        ),
        (
            "a 503 does not say when to try again",
            "errors.StoreUnavailable: 1,",
            "",
            f"{TESTS}/test_health.py::test_without_redis_every_other_route_answers_503_with_retry_after",
        ),
        (
            "the answer to a crash shows the exception",
            'in_one_shape("Internal server error", ',
            "in_one_shape(repr(error), ",
            "test_the_answer_to_a_crash_shows_no_internal_details",
        ),
    ),
    *seeded(
        f"{CODE}/requests/job_ids.py",
        JOB_TESTS,
        (
            "an id in capitals is another id",
            "return job_id.lower()",
            "return job_id",
            "test_the_id_of_a_job_may_be_written_in_either_case",
        ),
    ),
    *seeded(
        f"{CODE}/metrics/shared_memory.py",
        f"{TESTS}/test_counts.py",
        (
            "a process begins to count again in the region of another one",
            "begin, end = WORD, self._integers[0]",
            "begin, end = WORD, 0",
            "test_a_region_keeps_what_fits_and_its_next_owner_goes_on",
        ),
    ),
    *seeded(
        f"{CODE}/metrics/http.py",
        f"{TESTS}/test_metrics.py",
        (
            "every unknown path has metrics of its own",
            'else "unmatched"',
            "else request.path",
            "test_no_client_can_create_new_series",
        ),
        (
            "requests of one kind are counted as one of another status",
            "kind = (received.method, url_rule(received), status)",
            "kind = (received.method, url_rule(received), 200)",
            "test_http_is_measured_by_route_rule",
        ),
    ),
]
SERVER = [
    *seeded(
        f"{CODE}/server/connections/connection.py",
        "tests/security/test_slow_clients.py",
        (
            "a head may take forever",
            "Countdown(Phase.HEAD, limits.head)",
            "Countdown(Phase.HEAD, 1e6)",
            "test_a_connection_is_closed_when_its_time_is_over",
        ),
        (
            "the rest of a refused body is read as the next request",
            "if unread > MAX_DRAINED_BYTES or self.table.is_ending:",
            "if self.table.is_ending:",
            "test_a_refusal_can_be_read_by_a_client_that_first_sends_all",
        ),
    ),
    *seeded(
        f"{CODE}/server/connections/table.py",
        f"{TESTS}/server/test_gate.py",
        (
            "the fastest readers are closed",
            "for reader in slowest_first(readers, now):",
            "for reader in slowest_first(readers, now)[::-1]:",
            "test_readers_that_do_not_read_are_closed_for_those_that_do",
        ),
    ),
    *seeded(
        f"{CODE}/server/strict_http.py",
        "tests/security/test_request_smuggling.py",
        (
            "a chunked body may be encoded in another way, too",
            'codings != ["chunked"]',
            '"chunked" not in codings[-1]',
            "test_an_ambiguous_request_is_refused_and_its_connection_closed",
        ),
        (
            "an absolute target may name another host",
            "or hosts != [authority]",
            "or not hosts",
            "test_an_ambiguous_request_is_refused_and_its_connection_closed",
        ),
    ),
    *seeded(
        f"{CODE}/server/strict_http.py",
        "tests/security/test_fuzzed_authorization.py",
        (
            "a token that cannot be read is a malformed request like any other",
            "if needs_tokens() and has_unreadable_token(",
            "if not needs_tokens() and has_unreadable_token(",
            "test_a_value_that_no_header_may_have_is_answered_401",
        ),
        (
            "every malformed request lacks a token",
            "return len(headers) > 1 or any(",
            "return bool(headers) or any(",
            "test_a_request_whose_token_can_be_read_is_refused_for_its_own_fault",
        ),
    ),
    *seeded(
        f"{CODE}/server/error_page.py",
        "tests/security/test_secrets_in_malformed_requests.py",
        (
            "a malformed request is quoted in the log",
            "address, type(error).__name__)",
            "address, error)",
            "test_a_malformed_request_is_not_quoted",
        ),
    ),
    *seeded(
        f"{CODE}/server/worker.py",
        f"{TESTS}/server/test_processes.py",
        (
            "a server process outlives the arbiter",
            "return bool(os.getppid() != self.ppid)",
            "return False",
            "test_the_children_of_a_killed_arbiter_leave_the_port_to_the_next_one",
        ),
    ),
    *seeded(
        f"{CODE}/requests/callers.py",
        f"{TESTS}/server/test_gone_clients.py",
        (
            "a claim is made for a client that has gone",
            "return bool(poller.poll(0))",
            "return False",
            "test_a_claim_whose_client_has_gone_hands_out_nothing",
        ),
    ),
]
ACCESS = [
    *seeded(
        f"{CODE}/access/guard.py",
        "tests/security/test_scope_bypass.py",
        (
            "a path that does not exist needs no token",
            "need = TOKEN if rule is None else",
            "need = NOTHING if rule is None else",
            "test_every_route_answers_every_method_of_every_caller_as_the_table_says",
        ),
        (
            "any valid token may do anything",
            "if need is not TOKEN and need not in entry.scopes:",
            "if False:",
            "test_every_route_answers_every_method_of_every_caller_as_the_table_says",
        ),
    ),
    *seeded(
        f"{CODE}/access/visibility.py",
        f"{TESTS}/access/test_visibility.py",
        (
            "a reader sees the whole URL",
            "binary_url=redacted(url)",
            "binary_url=url",
            "test_a_reader_sees_names_and_stars",
        ),
    ),
    *seeded(
        f"{CODE}/server/gunicorn_settings.py",
        f"{TESTS}/server/test_tokens.py",
        (
            "processes that start late know tokens that were removed",
            "        keyring.look()\n        murder_workers()",
            "        murder_workers()",
            "test_a_removed_token_stays_removed_when_processes_start_while_the_file_is_broken",
        ),
    ),
    *seeded(
        "lua/lib/leases/belongs_to.lua",
        "tests/lua/test_owners.py",
        (
            "an attempt belongs to everybody",
            "job.owner == owner",
            "true",
            "test_another_owner_is_answered_as_if_the_job_were_not_held",
        ),
    ),
    *seeded(
        "lua/claim.lua",
        "tests/lua/test_owners.py",
        (
            "all owners share their claim ids",
            "owner .. ' ' .. claim_id or",
            "claim_id or",
            "test_a_claim_id_of_another_owner_has_never_been_used",
        ),
    ),
    *seeded(
        "lua/lib/leases/take_back.lua",
        "tests/lua/test_owners.py",
        (
            "what another owner has not received is taken back",
            " and belongs_to(job, owner)",
            "",
            "test_what_another_owner_has_not_received_is_not_taken_back",
        ),
    ),
]
LOGIN = [
    *seeded(
        "jobqueue/queue/transport/logins.py",
        "tests/queue/test_refused_login.py",
        (
            "a script is run that the user may not run to its end",
            "if self._username and self._needed else []",
            "if False else []",
            "test_a_user_who_lacks_a_right_changes_nothing_half_way",
        ),
        (
            "every request tries the login that was refused",
            "time.monotonic() < self._try_again_at",
            "False",
            "test_logins_that_are_refused_are_tried_a_few_times_a_second_whatever_comes_in",
        ),
    ),
    *seeded(
        "jobqueue/queue/waiting/events.py",
        f"{TESTS}/test_outage.py",
        (
            "a Redis that is away is taken for one that refuses its events",
            ' if isinstance(cause, redis.ResponseError) else ""',
            "",
            "test_an_outage_is_logged_when_it_starts_and_when_it_ends",
        ),
    ),
    *seeded(
        f"{CODE}/server/serving.py",
        f"{TESTS}/perimeter/test_request_ids.py",
        (
            "a claim is logged only when something else happens",
            "            logs.flush()",
            "            pass",
            "test_a_claim_is_logged_when_it_has_been_answered_though_nothing_follows",
        ),
    ),
    *seeded(
        "jobqueue/queue/transport/address.py",
        "tests/queue/test_tls_server.py",
        (
            "the certificate of Redis may be for another name",
            "context.check_hostname = verify and check_hostname and mode != ssl.CERT_NONE",
            "context.check_hostname = False",
            "test_an_address_that_is_not_in_the_certificate_is_refused",
        ),
    ),
]
SEEDED_BUGS = [*SCHEMAS, *ROUTES, *BODIES, *IDEMPOTENCY, *STORE, *ERRORS, *SERVER, *ACCESS, *LOGIN, *limits.SEEDED_BUGS]
SEEDED_BUGS += perimeter.SEEDED_BUGS

if __name__ == "__main__":
    sys.exit(main(SEEDED_BUGS, sys.argv[1:]))

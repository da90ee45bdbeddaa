"""Bugs that somebody might introduce in the perimeter, each with the test that has to find it."""

from __future__ import annotations

from tests.support.seeding import seeded

CODE = "jobqueue/web/perimeter"
TESTS = "tests/web/perimeter"

SEEDED_BUGS = [
    *seeded(
        f"{CODE}/hosts.py",
        f"{TESTS}/test_hosts.py",
        (
            "a host that begins with an address is an address",
            "name.endswith(self._endings)",
            'name.endswith(self._endings) or text.startswith("127.0.0.1")',
            "test_any_other_host_is_not_allowed",
        ),
        (
            "a pattern matches other domains with that ending",
            "pattern[1:] for pattern",
            "pattern[2:] for pattern",
            "test_the_operator_may_list_names",
        ),
    ),
    *seeded(
        f"{CODE}/browsers.py",
        f"{TESTS}/test_browsers.py",
        (
            "a page of another site may delete",
            'SAFE_METHODS = frozenset({"GET", ',
            'SAFE_METHODS = frozenset({"DELETE", "GET", ',
            f"{TESTS}/test_rules.py::test_every_unsafe_method_and_path_is_refused_to_pages_of_other_sites",
        ),
        (
            "an origin on another port is the page itself",
            "(page.host, page.port or default) == (server.host, server.port or default)",
            "page.host == server.host",
            "test_an_origin_on_another_host_or_port_is_foreign",
        ),
    ),
    *seeded(
        f"{CODE}/rules.py",
        f"{TESTS}/test_rules.py",
        (
            "the host in the request line is ignored",
            "yield absolute[1]",
            'yield "localhost"',
            "test_a_host_in_the_request_line_counts_as_well",
        ),
        (
            "a page beside the proxy may name any host",
            'yield environ[ORIGINAL]["HTTP_HOST"]',
            'yield "localhost"',
            f"{TESTS}/test_proxies.py::test_the_host_must_be_known_both_as_it_came_and_as_the_proxy_names_it",
        ),
    ),
    *seeded(
        f"{CODE}/request_ids.py",
        f"{TESTS}/test_request_ids.py",
        (
            "an id of any length and form is taken",
            "sent and _valid.fullmatch(sent)",
            "sent",
            "test_an_answer_has_a_new_id_where_the_client_sent_none_that_is_valid",
        ),
    ),
    *seeded(
        "jobqueue/logs/formats.py",
        "tests/test_log_formats.py",
        (
            "a value in JSON shows control characters once it is decoded",
            "return escaped(str(value)) if",
            "return str(value) if",
            "test_no_value_breaks_an_object",
        ),
    ),
]

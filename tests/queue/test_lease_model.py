"""The rules of leases hold in every order of events, and each of them is needed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.queue.lease_rules import Rules
from tests.queue.lease_search import PROPERTIES, broken_by

WEAKER = {
    "token": {"stale", "lied"},
    "replays": {"lied"},
    "deadlines": {"stuck"},
    "held_claims": {"shared", "lied"},
    "received": {"robbed"},
    "forgiving": {"never run"},
}
"""What breaks without a rule."""


def test_all_rules_together_break_no_property() -> None:
    states, broken = broken_by(Rules())
    assert broken == {}
    assert states > 1_000


@pytest.mark.parametrize("rule", WEAKER)
def test_without_a_rule_its_property_breaks(rule: str) -> None:
    _, broken = broken_by(replace(Rules(), **{rule: False}))
    assert broken.keys() == WEAKER[rule]


def test_lost_answers_end_a_job_unrun_if_claims_are_not_repeated_and_nothing_is_taken_back() -> None:
    _, broken = broken_by(Rules(claim_ids=False, take_back=False))
    assert broken.keys() == {"never run"}


def test_every_property_about_results_breaks_if_reports_are_not_checked() -> None:
    _, broken = broken_by(Rules(token=False, executor=False, status=False))
    assert broken.keys() >= {"result lost", "overwritten", "cancel lost", "stale"}


def test_every_property_breaks_without_some_rule() -> None:
    breakable = set().union(*WEAKER.values(), {"result lost", "overwritten", "cancel lost"})
    assert breakable == PROPERTIES.keys()

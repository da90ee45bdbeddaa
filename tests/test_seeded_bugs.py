"""The seeded bugs fit the code as it is now. A few are really planted here; `make seeded-bugs` plants them all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.paths import ROOT
from tests.support.seeding import SeededBug, is_found
from tests.web import seeded_bugs as web
from tests.worker import seeded_bugs as worker

BUGS = {bug.name: bug for bug in [*worker.SEEDED_BUGS, *web.SEEDED_BUGS]}
FOUND_SOON = [
    "a lease is safe to its very end",
    "the worker pauses one fault too late",
    "a host pattern matches other hosts with that ending",
    "the link to the next page forgets the filters",
]


def test_every_seeded_bug_has_a_name_of_its_own() -> None:
    assert len(BUGS) == len(worker.SEEDED_BUGS) + len(web.SEEDED_BUGS)


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS.keys())
def test_the_place_and_the_tests_of_a_seeded_bug_exist(bug: SeededBug) -> None:
    bug.changed(ROOT)
    assert bug.tests
    for test in bug.tests:
        file, _, name = test.partition("::")
        assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text()


@pytest.mark.parametrize("name", FOUND_SOON)
def test_a_seeded_bug_is_found(name: str) -> None:
    assert is_found(BUGS[name])  # that its tests pass without the bug is shown by this very run of all tests


def test_a_change_that_its_tests_do_not_notice_is_not_found() -> None:
    bug = replace(BUGS[FOUND_SOON[0]], new="SAFE_FRACTION * self.seconds")
    assert not is_found(bug)


def test_code_that_cannot_be_run_is_not_a_seeded_bug() -> None:
    bug = replace(BUGS[FOUND_SOON[0]], new="self.seconds * UNKNOWN")
    with pytest.raises(AssertionError):
        is_found(bug)

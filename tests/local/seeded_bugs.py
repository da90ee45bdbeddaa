"""Bugs in `make run`, each with the test that has to find it."""

from __future__ import annotations

from tests.support.seeding import seeded

SEEDED_BUGS = [
    *seeded(
        "jobqueue/local/variables.py",
        "tests/local/test_secrets.py",
        (
            "the programs of make run get every variable",
            "if name in wanted or re.fullmatch(pattern, name)",
            "if name",
            "test_each_program_gets_the_variables_that_it_reads_and_no_other",
        ),
    ),
    *seeded(
        "jobqueue/local/program.py",
        "tests/local/test_ends.py",
        (
            "the programs of make run outlive it",
            "LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)",
            "pass",
            "test_a_killed_launcher_takes_everything_with_it_and_frees_its_data",
        ),
    ),
]

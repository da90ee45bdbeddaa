"""The table of threats in docs/security.md: each has tests, and each test of a threat is in the table."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PAGE = ROOT / "docs/security.md"
HEADER = "| threat | what protects | test |\n|---|---|---|\n"
FOLDER = ROOT / "tests/security"
THIS = "tests/security/test_threat_table.py"


def threats() -> dict[str, list[str]]:
    """Return the files with the tests of each threat."""
    _, header, rest = PAGE.read_text().partition(HEADER)
    assert header, f"{PAGE} has no table of threats"
    rows = [row.strip("|").split("|") for row in rest.partition("\n\n")[0].splitlines()]
    return {threat.strip(): re.findall(r"`([^`]+)`", tests) for threat, _, tests in rows}


def has_tests(path: Path) -> bool:
    """Whether a file defines a test."""
    functions = ast.parse(path.read_text()).body
    return any(isinstance(each, ast.FunctionDef) and each.name.startswith("test_") for each in functions)


@pytest.mark.parametrize(("threat", "files"), threats().items(), ids=threats())
def test_a_threat_has_tests(threat: str, files: list[str]) -> None:
    assert files, f"the table names no test of {threat!r}"
    assert [file for file in files if not has_tests(ROOT / file)] == []


def test_every_test_of_a_threat_is_in_the_table() -> None:
    named = {file for files in threats().values() for file in files}
    there = {path.relative_to(ROOT).as_posix() for path in FOLDER.glob("test_*.py")}
    assert there - named == {THIS}

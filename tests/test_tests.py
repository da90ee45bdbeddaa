"""The rules that the tests keep: what they share is in `tests/support`, in short modules with one subject each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import ROOT

TESTS = ROOT / "tests"
LONGEST = 250


def imported_by(path: Path) -> Iterator[str]:
    """Yield the dotted name of everything that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def test_no_module_imports_a_test_module_or_a_conftest() -> None:
    imports = [
        (path, name) for path in TESTS.rglob("*.py") for name in imported_by(path) if name.startswith(("tests.", "."))
    ]
    assert imports
    parts = [(path, part) for path, name in imports for part in name.split(".")]
    assert [pair for pair in parts if pair[1].startswith("test_") or pair[1] == "conftest"] == []


def test_the_root_of_the_repository_is_in_one_module() -> None:
    users = [path for path in TESTS.rglob("*.py") if "Path(__file__" in path.read_text()]
    assert set(users) <= {TESTS / "support" / "paths.py", Path(__file__)}


def test_a_support_module_says_its_subject_and_is_short() -> None:
    for path in (TESTS / "support").glob("[!_]*.py"):
        source = path.read_text()
        assert ast.get_docstring(ast.parse(source)), path
        assert len(source.splitlines()) <= LONGEST, path

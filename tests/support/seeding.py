"""Bugs that are planted on purpose in a copy of the code, to see that the tests find them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

TREE = ("jobqueue", "docs", "lua", "tests", "app.py", "worker.py", "gunicorn.conf.py", "pyproject.toml")
"""The parts of the project that its tests need."""

RUN_SECONDS = 600.0
"""Time limit of one run of pytest."""

TEST_SECONDS = 60
"""Time limit of one test. A bug that makes a test hang is found, too."""

OPTIONS = f"-x -q -rf --tb=short -o addopts= -o timeout={TEST_SECONDS} -p pytest_timeout".split()
"""Of pytest. Only one plugin is loaded: importing them all takes longer than most of these tests."""

DOES_NOT_RUN = re.compile(
    r"^E +(ImportError|ModuleNotFoundError|NameError|SyntaxError|UnboundLocalError)", re.MULTILINE
)
"""What pytest prints when the changed code is no program at all. Any test would find that, so it does not count."""


@dataclass(frozen=True)
class SeededBug:
    """In `file`, the text `old`, which must occur exactly once, becomes `new`. `tests` have to notice, as pytest names
    them.
    """

    name: str
    file: str
    old: str
    new: str = ""
    tests: Sequence[str] = ()

    def changed(self, root: Path) -> str:
        """Return the file below `root` with the bug. Raises AssertionError when its place is not there exactly once."""
        text = (root / self.file).read_text()
        assert text.count(self.old) == 1, f"{self.file} has changed: seed {self.name!r} anew"
        assert self.old != self.new, f"{self.name!r} changes nothing"
        return text.replace(self.old, self.new)

    def plant(self, root: Path) -> None:
        """Change the file below `root`. Raises AssertionError as `changed` does."""
        (root / self.file).write_text(self.changed(root))


def seeded(file: str, test_file: str, *bugs: tuple[str, str, str, str]) -> list[SeededBug]:
    """Return bugs in one file, each given as its name, the old text, the new text and the test that has to notice.

    The test is one in `test_file`, unless it is given with its own file: `file::test`.
    """
    return [
        SeededBug(name, file, old, new, (test if "::" in test else f"{test_file}::{test}",))
        for name, old, new, test in bugs
    ]


def is_found(bug: SeededBug) -> bool:
    """Plant a bug in a copy of the project; return whether its tests fail there.

    Raises AssertionError when the changed code is no program, or pytest itself fails: that says nothing about the
    tests. The caller makes sure that the tests pass without the bug.
    """
    with tempfile.TemporaryDirectory(prefix="seed-") as folder:
        root = Path(folder)
        _copy(root)
        bug.plant(root)
        if bug.file.endswith(".py"):
            _require_importable(bug.file, root)
        return bool(_failures(bug.tests, root))


def require_passing(bugs: Iterable[SeededBug]) -> None:
    """Run the tests of all these bugs in a copy of the project without any. Raises AssertionError when one fails."""
    tests = dict.fromkeys(test for bug in bugs for test in bug.tests)
    with tempfile.TemporaryDirectory(prefix="seed-") as folder:
        _copy(Path(folder))
        failures = _failures([*tests], Path(folder))
        assert not failures, f"tests of seeded bugs fail without any bug: {failures}"


def main(bugs: Sequence[SeededBug], name_parts: Sequence[str]) -> int:
    """Try the bugs whose names contain one of the parts, or all if there are none. Return how many were missed."""
    chosen = [bug for bug in bugs if not name_parts or any(part in bug.name for part in name_parts)]
    require_passing(chosen)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return print_results(chosen, threads.map(is_found, chosen))


def print_results(bugs: Iterable[SeededBug], results: Iterable[bool]) -> int:
    """Print for each bug whether it was found, as soon as that is known. Return how many were not."""
    missed = 0
    for bug, found in zip(bugs, results, strict=True):
        missed += not found
        sys.stdout.write(f"{'found' if found else 'MISSED'}: {bug.name}\n")
        sys.stdout.flush()
    return missed


def _copy(root: Path) -> None:
    for name in TREE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, root / name)


def _require_importable(file: str, root: Path) -> None:
    module = file.removesuffix(".py").replace("/", ".")
    _, output = _python(["-c", f"import {module}; print({module}.__file__)"], root)
    assert output.strip() == str(root / file), f"{module} cannot be imported: {output}"


def _failures(tests: Sequence[str], root: Path) -> str:
    """Run tests in a copy of the project. Return what pytest prints if one fails; "" if not, or for an error outside
    of a test.
    """
    code, output = _python(["-m", "pytest", *OPTIONS, *tests], root)
    assert code in (0, 1), f"pytest could not run {tests}: {output}"
    assert not DOES_NOT_RUN.search(output), f"the code cannot be run: {output}"
    return output if code == 1 and "\nFAILED " in output else ""


def _python(arguments: Sequence[str], root: Path) -> tuple[int, str]:
    """Run Python in a copy of the project. Return its exit code and what it printed."""
    # Without the variables of a pytest around this one, which would be taken for options.
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHONPATH"))}
    variables |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    # A bug may leave processes behind. They would keep a pipe open, so the output goes to a file, and they are killed.
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=root,
            env=variables,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(RUN_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        output.seek(0)
        return code, output.read()

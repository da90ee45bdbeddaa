"""`python -m jobqueue token`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jobqueue.access.entries import of_setting
from jobqueue.access.scopes import Scope
from jobqueue.access.tokens import digest_of, is_mistyped
from jobqueue.command_line.main import main
from tests.support.paths import ROOT


def test_a_token_and_its_entry_are_printed_on_a_line_each() -> None:
    command = [sys.executable, "-m", "jobqueue", "token", "ci", "read", "execute"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    token, line = ran.stdout.splitlines()
    [entry] = of_setting(line, "API_TOKENS")
    assert not is_mistyped(token)
    assert entry.name == "ci"
    assert entry.scopes == {Scope.READ, Scope.EXECUTE}
    assert entry.digest == digest_of(token.encode())
    assert "API_TOKENS" in ran.stderr
    assert token not in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["token", "ci", "write"], "'write' is no scope: the scopes are read, submit, execute, admin"),
        (["token", "c_i", "read"], "'c_i' is no name for a token"),
        (["token", "ci"], "SCOPE"),
        (["token"], "NAME"),
        ([], "COMMAND"),
        (["tokens"], "token"),
    ],
)
def test_a_wrong_argument_is_named(arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    printed = capsys.readouterr()
    assert ended.value.code == 2
    assert named in printed.err
    assert printed.out == ""

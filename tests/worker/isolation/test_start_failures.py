"""What keeps a program from starting, at every level of isolation: the host's fault, or the program's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobqueue.worker.failures import Failure
from jobqueue.worker.supervisor.messages import Outcome
from tests.support import elf_files
from tests.support.confined import Sandbox


def run(sandbox: Sandbox, content: bytes) -> Outcome:
    launch = sandbox.launch("")
    program = Path(launch.program)
    program.chmod(0o700)
    program.write_bytes(content)
    program.chmod(sandbox.isolation.program_mode)
    outcome = sandbox.run_launch(launch)
    assert str(sandbox.root) not in str(outcome.start_failure)
    return outcome


@pytest.mark.parametrize(
    ("make", "failure", "text"),
    [
        (elf_files.lacking_a_library, Failure.MISSING, "libq.so.6"),
        (elf_files.for_a_newer_library, Failure.MISSING, "GLIBC_2.99"),
        (elf_files.lacking_a_loader, Failure.MISSING, "the loader that it names does not exist"),
        (elf_files.for_another_machine, Failure.OTHER_MACHINE, "another kind of machine"),
        (elf_files.cut_short, Failure.DAMAGED, "it is damaged"),
        (elf_files.cut_later, Failure.DAMAGED, "it is damaged"),
    ],
)
def test_an_elf_file_that_cannot_be_started_is_explained(
    any_level: Sandbox, make: Callable[[], bytes], failure: Failure, text: str
) -> None:
    outcome = run(any_level, make())
    assert (outcome.exit_code, outcome.failure) == (None, failure)
    assert text in str(outcome.start_failure)


@pytest.mark.parametrize("first_line", ["#!/usr/bin/env python9", "#!/usr/bin/env -S python9 -u"])
def test_an_interpreter_that_env_does_not_find_is_missing(any_level: Sandbox, first_line: str) -> None:
    outcome = run(any_level, f"{first_line}\nprint('hello')\n".encode())
    assert (outcome.exit_code, outcome.failure) == (None, Failure.MISSING)
    assert "python9" in str(outcome.start_failure)


LOADER_SAYS = "error while loading shared libraries: libx.so: cannot open shared object file: No such file or directory"


@pytest.mark.parametrize(
    ("script", "exit_code"),
    [
        ("exit 127", 127),
        ("no-such-command", 127),
        ("echo so far; no-such-command", 127),
        (f"echo 'tool: {LOADER_SAYS}' >&2; exit 127", 127),
        (f"echo started; echo '/bin/sh: {LOADER_SAYS}' >&2; exit 127", 127),
        (f"echo starting >&2; echo '/bin/sh: {LOADER_SAYS}' >&2; exit 127", 127),
        (f"echo '/bin/sh: {LOADER_SAYS}' >&2; exit 3", 3),
        ("/usr/bin/env no-such-command", 127),
        ("echo 'bwrap: it broke' >&2; exit 3", 3),
        ("echo '/bin/sh: symbol lookup error: x: undefined symbol: y' >&2; exit 127", 127),
        ("exit 1", 1),
    ],
)
def test_a_program_that_ran_and_failed_has_run(any_level: Sandbox, script: str, exit_code: int) -> None:
    outcome = run(any_level, f"#!/bin/sh\n{script}\n".encode())
    assert (outcome.exit_code, outcome.start_failure) == (exit_code, None)


def test_a_script_whose_env_ran_something_else_has_run(any_level: Sandbox) -> None:
    outcome = run(any_level, b"#!/usr/bin/env sh\n/usr/bin/env no-such-command\n")
    assert (outcome.exit_code, outcome.start_failure) == (127, None)


@pytest.mark.parametrize(
    "line",
    [
        "Error loading shared library libx.so: No such file or directory (needed by /attempt/program)",
        "Error relocating /attempt/program: f: symbol not found",
        "{program}: CPU ISA level is lower than required",
        "FATAL: kernel too old",
    ],
)
def test_the_messages_of_other_loaders_are_known(any_level: Sandbox, line: str) -> None:
    """An imitation: no loader but glibc's is at hand. The interpreter stands for the program that was started."""
    outcome = run(any_level, f"#!/bin/sh\necho '{line.format(program='/bin/sh')}' >&2\nexit 127\n".encode())
    assert outcome.failure is Failure.MISSING

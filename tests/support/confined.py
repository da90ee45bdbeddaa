"""A slot whose programs run in a sandbox, beside files that they must not touch."""

from __future__ import annotations

import functools
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from jobqueue.worker.isolation import levels
from jobqueue.worker.slots.selftest import problem_with_level
from jobqueue.worker.slots.workspace import ALL_MAY_PASS, Workspaces
from jobqueue.worker.supervisor.messages import Launch, Outcome
from tests.support.paths import PATH
from tests.support.programs import Stage
from tests.support.slots import OPEN_FILES, open_slot, sparing_children

TRY_EACH = """
import ctypes, json, os, pathlib, signal, socket, subprocess, sys
read = lambda path: open(path).read()
write = lambda path: open(path, "a").close()
def rewrite(path):
    os.chmod(path, 0o700)
    write(path)
def connect(address):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(address)
results = []
for expression in sys.argv[1:]:
    try:
        results.append(eval(expression))
    except OSError as error:
        results.append(type(error).__name__)
print(json.dumps(results))
"""
"""Prints the value of each expression that it is given, or the name of the OSError that it raises."""

DENIED = ("PermissionError", "FileNotFoundError", "OSError")
"""The errors of a forbidden access to a file: not permitted, no such file, read-only file system."""


@functools.cache
def python() -> str:
    """Return a Python that every user of this host may run."""
    for path in (os.path.realpath(shutil.which("python3") or "/"), "/usr/local/bin/python3", "/usr/bin/python3"):
        if os.path.isfile(path) and all(folder.stat().st_mode & 0o001 for folder in Path(path).resolve().parents):
            return path
    pytest.skip("every Python on this host is closed to other users")


@functools.cache
def why_impossible(level: str, network: str = levels.HOST_NETWORK) -> str | None:
    """Return None when this host can provide the level, else the sentence that says why not."""
    with closing(Workspaces(sparing_children(), Path(tempfile.gettempdir()))) as workspaces:
        return problem_with_level(level, workspaces, levels.FIRST_UID, OPEN_FILES, network)


class Sandbox:
    """A slot at one level of isolation, and the directory below which its programs run."""

    def __init__(self, root: Path, level: str, *hidden: Path, network: str) -> None:
        self.root = root
        self.level = level
        self.hidden = root / "hidden"
        self.hidden.mkdir(mode=0o700)
        self.isolation = levels.make(level, [str(path) for path in (self.hidden, *hidden)], network=network)
        self.isolation.reserve()
        self.slot = open_slot(self.isolation)
        self._numbers = count()

    def close(self) -> None:
        self.slot.close()
        self.isolation.free()

    def launch(self, program: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Launch:
        """Make a workspace with the program in it; return how to start it there."""
        workspace = self.root / f"attempt-{next(self._numbers)}"
        directory = workspace / "work"
        directory.mkdir(parents=True, mode=0o700)
        workspace.chmod(ALL_MAY_PASS)
        if self.isolation.uid is not None:
            os.chown(directory, self.isolation.uid, self.isolation.uid)
        path = workspace / "program"
        path.write_text(program)
        path.chmod(self.isolation.program_mode)
        return Launch(str(path), arguments, environment or {"PATH": PATH, "HOME": str(directory)}, str(directory))

    def run(self, program: str, *arguments: str) -> Outcome:
        return self.run_launch(self.launch(program, *arguments))

    def run_launch(self, launch: Launch) -> Outcome:
        return self.slot.run(launch, threading.Event())

    def begin(self, launch: Launch) -> Future[Outcome]:
        """Run a program in another thread; return as soon as `stop` would stop it."""
        return Stage(self.slot, self.root).begin_launch(launch)

    def try_each(self, *expressions: str) -> list[Any]:
        """Return the values of Python expressions that a program evaluates, an OSError as the name of its class."""
        outcome = self.run(f"#!{python()} -IS\n{TRY_EACH}", *expressions)
        assert outcome.exit_code == 0, (outcome, outcome.stderr)
        values: list[Any] = json.loads(outcome.stdout)
        return values


@contextmanager
def sandbox(level: str, *hidden: Path, network: str = levels.HOST_NETWORK) -> Iterator[Sandbox]:
    """Make a sandbox; skip the test when this host cannot provide the level."""
    if why := why_impossible(level, network):
        assert level != "none", why
        pytest.skip(why)
    root = Path(tempfile.mkdtemp(prefix="jobqueue-test-"))
    root.chmod(ALL_MAY_PASS)
    made = Sandbox(root, level, *hidden, network=network)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(root)


@contextmanager
def secret_below(parent: Path) -> Iterator[Path]:
    """Put a file that only the worker's user can read below `parent`; skip the test when that is not allowed."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=".jobqueue-test-", dir=parent))
    except OSError as error:
        pytest.skip(f"no file can be made in {parent}: {error}")
    try:
        secret = folder / "secret"
        secret.write_text("secret")
        secret.chmod(0o600)
        yield secret
    finally:
        shutil.rmtree(folder)


def processes_of(launch: Launch) -> list[int]:
    """Return the processes that were started with a launch's program."""
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if launch.program.encode() in words:
            pids.append(int(process.name))
    return pids

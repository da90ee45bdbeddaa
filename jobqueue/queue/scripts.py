"""Assembles the Lua scripts in `lua/`, calls them by name, and turns their refusals into errors."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import cast

import redis

from jobqueue.errors import JobNotFound, JobQueueError, LeaseLost, NotHeld, NotPending, NotRunning
from jobqueue.queue.connection import Connection

LUA = Path(str(files("jobqueue"))) / "lua"
ROOT = "{jobqueue}"
"""The beginning of every key. The braces make it a hash tag: a cluster keeps all keys of a queue on one node."""

REFUSALS: dict[str, type[JobQueueError]] = {
    "JOB_NOT_FOUND": JobNotFound,
    "NOT_PENDING": NotPending,
    "NOT_HELD": NotHeld,
    "NOT_RUNNING": NotRunning,
    "LEASE_LOST": LeaseLost,
}

Reply = int | str | None | list["Reply"]

Clock = Callable[[], str]
"""Returns the time in milliseconds as text, or "" for Redis's own time. Only tests pass a time."""


def redis_clock() -> str:
    """Return the clock reading that stands for Redis's own time."""
    return ""


class Scripts:
    """All scripts of `lua/`, read once and called by name. Redis gets a script when it is first called."""

    def __init__(self, connection: Connection, root: str = ROOT, folder: Path = LUA) -> None:
        self._connection = connection
        self._root = root
        self._scripts = {path.stem: Script.read(path) for path in sorted(folder.glob("*.lua"))}

    def call(self, name: str, *arguments: str | int) -> Reply:
        """Run a script and return its answer.

        Raises the error of REFUSALS if the script refuses, StoreUnavailable or StoreFull if Redis cannot serve.
        """
        script = self._scripts[name]
        reply = self._connection.call(lambda: self._run(script, arguments), script.changes_nothing)
        if not isinstance(reply, JobQueueError):
            return reply
        try:
            raise reply
        finally:
            # The error's traceback leads to this frame, and to its callers with the body of the request. If the frame
            # led back to the error, all of that would stay in memory until the garbage collector finds the circle.
            del reply

    def _run(self, script: Script, arguments: Sequence[str | int]) -> Reply | JobQueueError:
        """Return the answer. To the connection, a refusal is an answer like any other."""
        client, rest = self._connection.client, (self._root, *arguments)
        try:
            try:
                return cast("Reply", client.evalsha(script.sha1, 1, *rest))
            # Redis has never had the script, or has forgotten it, and has done nothing. EVAL brings the text with it,
            # so that nothing can be forgotten between a load and a call.
            except redis.exceptions.NoScriptError:
                return cast("Reply", client.eval(script.text, 1, *rest))
        except redis.ResponseError as error:
            refused = refusal(str(error))
            if refused is None:
                raise
            return refused


@dataclass(frozen=True)
class Script:
    """A script as Redis gets it, its name there, and whether it only reads."""

    text: str
    sha1: str
    changes_nothing: bool

    @classmethod
    def read(cls, path: Path) -> Script:
        """Assemble a script of `lua/`. Its header says whether it changes anything."""
        text = assemble(path)
        sha1 = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        return cls(text, sha1, changes_nothing="\n-- STATUSES none\n" in text)


def refusal(text: str) -> JobQueueError | None:
    """Return the error for a refusal ("NOT_PENDING running"); None if the text is not a refusal."""
    code, _, fact = text.partition(" ")
    if code not in REFUSALS:
        return None
    return REFUSALS[code](status=fact.strip()) if fact.strip() else REFUSALS[code]()


def assemble(path: Path) -> str:
    """Return a script as Redis gets it: the fragments that its USES lines name, in that order, then the script.

    Fragments are in folders below `lib/`, and no two have the same name. Raises FileNotFoundError for a missing one.
    """
    lib, script = path.parent / "lib", path.read_text()
    fragments = {each.stem: each for each in lib.glob("*/*.lua")}
    return "\n".join([*(fragments.get(name, lib / f"{name}.lua").read_text() for name in uses(script)), script])


def uses(script: str) -> Sequence[str]:
    """Return the names of the fragments in the USES lines of a script's header."""
    return [name for line in re.findall(r"^-- USES(.*)$", script, re.MULTILINE) for name in line.split()]
